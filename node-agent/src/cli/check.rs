//! `check`: whether this node can be shut down now without losing requests. Changes nothing.

use crate::agent::failure::Complaint;
use crate::agent::gather;
use crate::aws::own_groups::{self, Membership, MembershipError, Search, pause};
use crate::aws::target_group::{TargetState, TargetType};
use crate::cli::args::CheckArgs;
use crate::cli::check_start;
use crate::cli::findings::{Against, Findings, GroupFindings, answer};
use crate::exit;
use crate::lease::Leases;
use crate::lease::policy::Policy;
use crate::record::journal;
use crate::record::phase::{Phase, Stage};
use crate::record::{CommandState, Operation};
use crate::settings::Settings;
use std::time::Duration;

/// The caller is about to shut the machine down and does not wait long.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn check(settings: &Settings, args: &CheckArgs) -> Result<u8, Complaint> {
    if args.start {
        return answer(&start(settings).await, args.json, exit::FAILED);
    }
    let asking = async |search: &Search| may_go_down(settings, search).await;
    answer(&within(settings, asking).await, args.json, exit::FAILED)
}

/// Whether `maintain` could start now.
pub(super) async fn start(settings: &Settings) -> Findings {
    within(settings, async |search: &Search| check_start::may_start(settings, search).await).await
}

/// The answer, in time. A search that was throttled goes on.
async fn within(settings: &Settings, asking: impl AsyncFn(&Search) -> Result<Findings, Against>) -> Findings {
    let search = Search::of(&settings.target_groups);
    let too_long = format!(
        "cannot tell: no answer within {} s; check the network to the API and to the instance metadata service",
        ANSWER_WITHIN.as_secs()
    );
    let mut against = Against::from(too_long);
    let answer = async {
        loop {
            match asking(&search).await {
                Err(throttled) if throttled.is_throttled => against = throttled,
                answer => return answer,
            }
            tokio::time::sleep(pause()).await;
        }
    };
    let answer = tokio::time::timeout(ANSWER_WITHIN, answer).await;
    answer.unwrap_or(Err(against)).unwrap_or_else(Findings::from)
}

/// The reasons against a shutdown now.
async fn may_go_down(settings: &Settings, search: &Search) -> Result<Findings, Against> {
    let record = journal::read(&settings.state_dir).map_err(|error| format!("cannot tell: {error}"))?;
    let operation = record.and_then(|record| record.operation);
    let node = gather::node(settings).await?;
    let mut findings = Findings {
        phase: operation.as_ref().map(|operation| operation.phase),
        requests_in_flight: in_flight(settings).await,
        ..Findings::default()
    };
    let has_left = operation.as_ref().is_some_and(|operation| operation.left.is_some());
    let groups = own_groups(&node, search, operation.as_ref()).await?;
    if groups.is_empty() && !has_left {
        let nowhere = MembershipError::Nowhere(node.identity.instance_id.clone());
        findings.reasons.push(format!("cannot tell: {nowhere}"));
    }
    for (arn, name, kind) in groups {
        let health = match node.load_balancer.target_health(&arn).await {
            // The node left it before it was deleted, and no request comes through it.
            Err(error) if has_left && error.is_group_gone() => continue,
            health => health.map_err(|error| Against::from(&error))?,
        };
        let tags = node.load_balancer.tags(std::slice::from_ref(&arn)).await;
        let tags = tags.map_err(|error| Against::from(&error))?.remove(&arn).unwrap_or_default();
        // With any port: somebody may have registered another one while the node was out.
        let us = node.identity.own_ids(kind);
        let own: Vec<_> = health.iter().filter(|state| us.include(&state.target.id)).collect();
        if own.is_empty() && !has_left {
            findings.reasons.push(format!(
                "cannot tell: no target in {name} is this node, {}, and it did not leave by node-agent; correct the name of \
                 the group, or shut down without asking",
                node.identity.instance_id
            ));
        }
        findings
            .reasons
            .extend(own.iter().filter_map(|state| still_reachable(state, &name, operation.as_ref())));
        let lease =
            Leases::from_tags(&tags).of(&node.identity.instance_id).map(|lease| lease.word().to_owned());
        findings.groups.push(GroupFindings {
            name,
            targets: own.iter().map(|state| format!("{} is {state}", state.target)).collect(),
            lease,
            paused: Policy::from_tags(&tags).ok().and_then(|policy| policy.paused),
        });
    }
    if operation.as_ref().is_some_and(|operation| {
        operation.phase == Phase::RunCommand && operation.command == CommandState::Running
    }) {
        findings.reasons.push("the maintenance command is running; wait until it ends".to_owned());
    }
    Ok(findings)
}

async fn in_flight(settings: &Settings) -> Option<u64> {
    let url = settings.in_flight_url.as_ref()?;
    gather::service().ok()?.in_flight(url).await.ok()
}

/// The groups of this node as (ARN, name, type of targets): those on record, those that are named, or those in which it is
/// registered or draining.
async fn own_groups(
    node: &gather::Node,
    search: &Search,
    operation: Option<&Operation>,
) -> Result<Vec<(String, String, TargetType)>, Against> {
    if let Some(operation) = operation.filter(|operation| !operation.groups.is_empty()) {
        let live = operation.live_groups();
        let mut groups: Vec<_> =
            live.map(|group| (group.arn.clone(), group.name.clone(), group.target_type)).collect();
        // Somebody may have registered the node in another group meanwhile.
        let found = own_groups::find_usable(&node.load_balancer, &node.identity, search).await;
        for Membership { group, .. } in found.unwrap_or_default() {
            if !operation.groups.iter().any(|known| known.arn == group.arn) {
                groups.push((group.arn, group.name, group.target_type));
            }
        }
        return Ok(groups);
    }
    let groups = match own_groups::groups_around(&node.load_balancer, &node.identity, search).await {
        Err(MembershipError::Call(error)) => return Err(Against::from(&error)),
        groups => groups.map_err(|error| format!("cannot tell: {error}"))?,
    };
    let found = own_groups::memberships(&node.load_balancer, &node.identity, groups).await;
    let found = found.map_err(|error| Against::from(&error))?.into_iter();
    let named = !search.named().is_empty();
    let ours = found.filter(|membership| named || !membership.own.is_empty());
    let ours = ours.map(|Membership { group, .. }| (group.arn, group.name, group.target_type));
    Ok(ours.collect())
}

fn is_past_drain(phase: Phase) -> bool {
    !matches!(phase.stage(), Stage::InService | Stage::Leaving)
}

/// Why requests may still reach a target of this node.
fn still_reachable(state: &TargetState, group: &str, operation: Option<&Operation>) -> Option<String> {
    if state.is_not_registered() || state.is_not_in_use() {
        return None;
    }
    if state.is_registered() {
        let is_out = operation.is_some_and(|operation| operation.phase.stage() == Stage::Out);
        let advice = if is_out {
            "node-agent deregisters it again while the node is drained or the command runs; find out what registers it"
        } else {
            "run `node-agent maintain` or `node-agent drain` first"
        };
        return Some(format!("{} is {state} in {group}: requests would be lost; {advice}", state.target));
    }
    // A drain by the agent has waited for the drain floor and the requests in flight. Any other drain has not.
    let drained =
        operation.is_some_and(|operation| operation.left.is_some() && is_past_drain(operation.phase));
    (!drained).then(|| {
        format!(
            "{} is {state} in {group}: requests may still be in flight; wait for the drain to end",
            state.target
        )
    })
}
