//! `check`: may this node go down now? `check --start`: could `maintain` take it out now? Changes nothing.

use super::{CheckArgs, Complaint, gather, say};
use crate::driver::DriveError;
use crate::exit;
use crate::journal;
use crate::lease::Slot;
use crate::membership;
use crate::phase::Phase;
use crate::reading::GroupReading;
use crate::record::{CommandState, Operation};
use crate::settings::Settings;
use crate::target_group::TargetState;
use serde_json::json;
use std::time::Duration;

/// Whoever asks is about to shut the machine down and will not wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn check(settings: &Settings, args: &CheckArgs) -> Result<u8, Complaint> {
    if args.start {
        return start(settings, args.json).await;
    }
    let reasons = within(may_go_down(settings)).await;
    Ok(answer(&reasons, args.json))
}

/// Could `maintain` begin now?
pub(super) async fn start(settings: &Settings, json: bool) -> Result<u8, Complaint> {
    let reasons = within(may_start(settings)).await;
    Ok(answer(&reasons, json))
}

async fn within(asking: impl Future<Output = Result<Vec<String>, String>>) -> Vec<String> {
    let too_long = || {
        format!(
            "cannot tell: no answer within {} s; the API or the instance metadata service is out of reach",
            ANSWER_WITHIN.as_secs()
        )
    };
    let answer = tokio::time::timeout(ANSWER_WITHIN, asking).await.unwrap_or_else(|_| Err(too_long()));
    answer.unwrap_or_else(|cannot_tell| vec![cannot_tell])
}

/// Reasons against are all that counts: without one it is yes.
fn answer(reasons: &[String], as_json: bool) -> u8 {
    let yes = reasons.is_empty();
    if as_json {
        say(&format!("{:#}\n", json!({ "answer": if yes { "yes" } else { "no" }, "reasons": reasons })));
    } else if yes {
        say("yes\n");
    } else {
        say(&format!("no\n{}", reasons.iter().map(|reason| format!("  - {reason}\n")).collect::<String>()));
    }
    if yes { exit::DONE } else { exit::FAILED }
}

/// Every reason why this node may not go down now.
async fn may_go_down(settings: &Settings) -> Result<Vec<String>, String> {
    let record = journal::read(&settings.state_dir).map_err(|error| format!("cannot tell: {error}"))?;
    let operation = record.and_then(|record| record.operation);
    let node =
        gather::node(settings).await.map_err(|complaint| format!("cannot tell: {:#}", complaint.error))?;
    let mut reasons = Vec::new();
    let groups: Vec<(String, String, Vec<_>)> = match &operation {
        Some(operation) if !operation.groups.is_empty() => {
            let live = operation.live_groups();
            live.map(|group| (group.arn.clone(), group.name.clone(), group.pairs.clone())).collect()
        }
        _ => match membership::find(&node.load_balancer, &node.identity, &settings.target_groups).await {
            Ok(found) => found.into_iter().map(|m| (m.group.arn, m.group.name, m.pairs)).collect(),
            Err(membership::MembershipError::Call(error)) => {
                return Err(format!("cannot tell: {error}; {}", error.advice()));
            }
            // In no group: nobody sends us requests.
            Err(_) => Vec::new(),
        },
    };
    for (arn, name, pairs) in groups {
        let health = node.load_balancer.target_health(&arn).await;
        let health = health.map_err(|error| format!("cannot tell: {error}; {}", error.advice()))?;
        let own = health.iter().filter(|state| pairs.contains(&state.target));
        reasons.extend(own.filter_map(|state| still_reachable(state, &name, operation.as_ref())));
    }
    if operation.as_ref().is_some_and(|operation| {
        operation.phase == Phase::RunCommand && operation.command == CommandState::Running
    }) {
        reasons.push("the maintenance command is running; wait until it has ended".to_owned());
    }
    Ok(reasons)
}

/// Why requests may still reach one of our pairs.
fn still_reachable(state: &TargetState, group: &str, operation: Option<&Operation>) -> Option<String> {
    if state.is_not_registered() {
        return None;
    }
    if state.is_registered() {
        let advice = "take it out with `node-agent maintain` or `node-agent drain` first";
        return Some(format!("{} is {state} in {group}: requests would be lost; {advice}", state.target));
    }
    // Draining: our own drain has watched the floor and the requests in flight, nobody else's has.
    let drained = operation.is_some_and(|operation| operation.out && operation.phase > Phase::Drain);
    (!drained).then(|| {
        format!(
            "{} is {state} in {group}: requests may still be in flight; wait for the drain to end",
            state.target
        )
    })
}

/// Every reason why `maintain` could not take this node out now.
async fn may_start(settings: &Settings) -> Result<Vec<String>, String> {
    let record = journal::read(&settings.state_dir).map_err(|error| error.to_string())?;
    let mut reasons = Vec::new();
    if let Some(operation) = record.and_then(|record| record.operation) {
        reasons
            .push(format!("a maintenance is at {} already; `node-agent status` shows it", operation.phase));
    }
    gather::machine(settings).now().map_err(|error| DriveError::from(error).to_string())?;
    let node =
        gather::node(settings).await.map_err(|complaint| format!("cannot tell: {:#}", complaint.error))?;
    let found = membership::find(&node.load_balancer, &node.identity, &settings.target_groups).await;
    for membership in found.map_err(|error| error.to_string())? {
        let (name, kind) = (&membership.group.name, membership.group.target_type);
        let reading = GroupReading::read(&node.load_balancer, &membership.group.arn).await;
        let reading = reading.map_err(|error| format!("cannot tell: {error}; {}", error.advice()))?;
        if let Err(refusal) = reading.may_begin(&node.identity, kind, settings) {
            reasons.push(format!("in target group {name}, {refusal}"));
        }
        let slot =
            reading.policy.as_ref().map(|policy| reading.leases.slot(&node.identity.instance_id, policy));
        if let Ok(Slot::Taken(by)) = slot {
            reasons
                .push(format!("in target group {name}, all slots are taken, by {by}; `maintain` would wait"));
        }
    }
    Ok(reasons)
}
