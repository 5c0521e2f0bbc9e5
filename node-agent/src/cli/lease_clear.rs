//! `lease clear`: removes the mark left by a failed maintenance or by `lease break`.

use crate::agent::failure::Complaint;
use crate::aws::target_group::TargetGroup;
use crate::cli::operator::Operator;
use crate::cli::say::say;
use crate::exit;
use crate::lease::operator::{self as decide, Found};
use crate::settings::Settings;

pub(super) async fn run(settings: &Settings, id: &str) -> Result<u8, Complaint> {
    let operator = Operator::new(settings).await?;
    let marks = marks(&operator, id).await?;
    if marks.is_empty() {
        say(&format!("nothing to do: {id} has no mark in {}\n", operator.names()));
        return Ok(exit::DONE);
    }
    // A stale read may show a mark although the node has started a new maintenance since.
    operator.settle().await;
    if self::marks(&operator, id).await? != marks {
        return Err(Complaint::new(
            exit::NOTHING_CHANGED,
            anyhow::anyhow!(
                "failed to clear the mark of {id}: its tag changed between two reads; see `node-agent status`, then try again"
            ),
        ));
    }
    for (group, mark) in &marks {
        operator.remove(group, mark).await?;
    }
    say(&format!("cleared the mark of {id}: other nodes can start\n"));
    Ok(exit::DONE)
}

async fn marks(operator: &Operator, id: &str) -> Result<Vec<(TargetGroup, Found)>, Complaint> {
    let mut marks = Vec::new();
    for group in &operator.groups {
        let tags = operator.tags(group).await?;
        let found = decide::may_clear(&tags, id).map_err(|why| {
            Complaint::new(
                exit::USAGE,
                anyhow::Error::new(why)
                    .context(format!("failed to clear the mark of {id} in {}", group.name)),
            )
        })?;
        marks.extend(found.into_iter().map(|mark| (group.clone(), mark)));
    }
    Ok(marks)
}
