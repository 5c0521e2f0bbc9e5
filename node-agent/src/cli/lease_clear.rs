//! `lease clear`: removes the mark left by a failed maintenance or by `lease break`.

use crate::agent::failure::Complaint;
use crate::aws::target_group::TargetGroup;
use crate::cli::operator::Operator;
use crate::cli::say::say;
use crate::cli::tally::Tally;
use crate::exit;
use crate::lease::operator::{self as decide, Found};
use crate::settings::Settings;

pub(super) async fn run(settings: &Settings, id: &str) -> Result<u8, Complaint> {
    let what = format!("clear every mark of {id}");
    let operator = Operator::new(settings).await?;
    let mut tally = Tally::default();
    let seen = marks(&operator, id, &mut tally).await;
    if seen.is_empty() {
        if tally.is_clean() {
            say(&format!("nothing to do: {id} has no mark in {}\n", operator.names()));
        }
        return tally.end(&what);
    }
    // A stale read may show a mark although the node has started a new maintenance since.
    operator.settle().await;
    // Groups that failed in the first read have been counted.
    let again = marks(&operator, id, &mut Tally::default()).await;
    for (group, mark) in seen {
        if !again.contains(&(group.clone(), mark.clone())) {
            let why = "its tag changed between two reads; see `node-agent status`, then try again";
            tally.failed(&group.name, exit::NOTHING_CHANGED, why);
            continue;
        }
        let removed = operator.remove(&group, &mark).await;
        if tally.take(&group.name, removed).is_some() {
            tally.done();
        }
    }
    if tally.is_clean() {
        say(&format!("cleared the mark of {id}: other nodes can start\n"));
    }
    tally.end(&what)
}

async fn marks(operator: &Operator, id: &str, tally: &mut Tally) -> Vec<(TargetGroup, Found)> {
    let mut marks = Vec::new();
    for group in &operator.groups {
        let Some(tags) = tally.take(&group.name, operator.tags(group).await) else { continue };
        match decide::may_clear(&tags, id) {
            Ok(found) => marks.extend(found.into_iter().map(|mark| (group.clone(), mark))),
            Err(why) => tally.failed(&group.name, exit::USAGE, why),
        }
    }
    marks
}
