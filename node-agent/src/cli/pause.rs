//! `pause` and `unpause`: while a group is paused, no node starts a maintenance. Nodes that are out come back.

use crate::agent::failure::Complaint;
use crate::cli::operator::Operator;
use crate::cli::say::say;
use crate::exit;
use crate::lease::operator::reason;
use crate::settings::Settings;

/// The policy tag.
const KEY: &str = "node-agent/paused";

pub(super) async fn pause(settings: &Settings, words: &[String]) -> Result<u8, Complaint> {
    let Some(reason) = reason(&words.join(" ")) else {
        return Err(Complaint::new(
            exit::USAGE,
            anyhow::anyhow!(
                "failed to pause the target groups: the reason is empty; give one with letters or digits, which every waiting node shows"
            ),
        ));
    };
    let operator = Operator::new(settings).await?;
    for group in &operator.groups {
        let before = operator.tags(group).await?.remove(KEY);
        if before.as_ref() == Some(&reason) {
            say(&format!("{}: already paused: {reason}\n", group.name));
            continue;
        }
        operator.ask(async |lb| lb.add_tag(&group.arn, KEY, &reason).await).await?;
        let instead = before.map(|before| format!(" (instead of: {before})")).unwrap_or_default();
        say(&format!("{}: paused: {reason}{instead}\n", group.name));
    }
    say("nodes that are out come back; no other node starts until `node-agent unpause`\n");
    Ok(exit::DONE)
}

pub(super) async fn unpause(settings: &Settings) -> Result<u8, Complaint> {
    let operator = Operator::new(settings).await?;
    for group in &operator.groups {
        let Some(before) = operator.tags(group).await?.remove(KEY) else {
            say(&format!("{}: nothing to do: not paused\n", group.name));
            continue;
        };
        operator.ask(async |lb| lb.remove_tag(&group.arn, KEY).await).await?;
        say(&format!("{}: no longer paused (was: {before})\n", group.name));
    }
    Ok(exit::DONE)
}
