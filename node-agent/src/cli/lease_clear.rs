//! `lease clear`: removes the mark that a failed maintenance, or a break, has left behind.

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
        say(&format!("already so: {id} has no mark in {}\n", operator.names()));
        return Ok(exit::DONE);
    }
    // A stale read may show a mark where the node has begun a new maintenance meanwhile.
    operator.settle().await;
    if self::marks(&operator, id).await? != marks {
        return Err(Complaint::new(
            exit::NOTHING_CHANGED,
            anyhow::anyhow!(
                "the tag of {id} has changed while we looked: nothing was removed; look at `node-agent status`"
            ),
        ));
    }
    for (group, mark) in &marks {
        operator.remove(group, mark).await?;
    }
    say(&format!("the mark of {id} is gone; the others may go on\n"));
    Ok(exit::DONE)
}

async fn marks(operator: &Operator, id: &str) -> Result<Vec<(TargetGroup, Found)>, Complaint> {
    let mut marks = Vec::new();
    for group in &operator.groups {
        let tags = operator.tags(group).await?;
        let found = decide::may_clear(&tags, id).map_err(|why| {
            Complaint::new(exit::USAGE, anyhow::Error::new(why).context(format!("in {}", group.name)))
        })?;
        marks.extend(found.into_iter().map(|mark| (group.clone(), mark)));
    }
    Ok(marks)
}
