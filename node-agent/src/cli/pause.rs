//! `pause` and `unpause`: while a group is paused, no node starts a maintenance. Nodes that are out come back.

use crate::agent::failure::Complaint;
use crate::aws::target_group::TargetGroup;
use crate::cli::operator::Operator;
use crate::cli::say::say;
use crate::cli::tally::Tally;
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
    let mut tally = Tally::default();
    for group in &operator.groups {
        let paused = pause_one(&operator, group, &reason).await;
        if tally.take(&group.name, paused).is_some() {
            tally.done();
        }
    }
    if tally.is_clean() {
        say("nodes that are out come back; no other node starts until `node-agent unpause`\n");
    }
    tally.end("pause all target groups")
}

async fn pause_one(operator: &Operator, group: &TargetGroup, reason: &str) -> Result<(), Complaint> {
    let before = operator.tags(group).await?.remove(KEY);
    if before.as_deref() == Some(reason) {
        say(&format!("{}: already paused: {reason}\n", group.name));
        return Ok(());
    }
    operator.ask(async |lb| lb.add_tag(&group.arn, KEY, reason).await).await?;
    let instead = before.map(|before| format!(" (instead of: {before})")).unwrap_or_default();
    say(&format!("{}: paused: {reason}{instead}\n", group.name));
    Ok(())
}

pub(super) async fn unpause(settings: &Settings) -> Result<u8, Complaint> {
    let operator = Operator::new(settings).await?;
    let mut tally = Tally::default();
    for group in &operator.groups {
        let unpaused = unpause_one(&operator, group).await;
        if tally.take(&group.name, unpaused).is_some() {
            tally.done();
        }
    }
    tally.end("unpause all target groups")
}

async fn unpause_one(operator: &Operator, group: &TargetGroup) -> Result<(), Complaint> {
    let Some(before) = operator.tags(group).await?.remove(KEY) else {
        say(&format!("{}: nothing to do: not paused\n", group.name));
        return Ok(());
    };
    operator.ask(async |lb| lb.remove_tag(&group.arn, KEY).await).await?;
    say(&format!("{}: no longer paused (was: {before})\n", group.name));
    Ok(())
}
