//! `check --start`: whether `maintain` could take this node out now. Changes nothing.

use crate::agent::gather;
use crate::aws::instance_metadata::Identity;
use crate::aws::own_groups::{self, Membership, MembershipError, Search};
use crate::aws::target_group::TargetHealth;
use crate::cli::check_scaling;
use crate::cli::findings::{Against, Findings, GroupFindings};
use crate::lease::Slot;
use crate::lease::snapshot::Refusal;
use crate::maintenance::context::DriveError;
use crate::maintenance::local_check::{self, OwnTargets, check_targets};
use crate::maintenance::read_group;
use crate::record::journal;
use crate::settings::{OnUnhealthy, Settings};
use std::time::Duration;

/// The tries of the local check. `check` has five seconds for its answer.
const TRIES: u32 = 3;
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// The reasons why `maintain` could not take this node out now.
pub(super) async fn may_start(settings: &Settings, search: &Search) -> Result<Findings, Against> {
    let record = journal::read(&settings.state_dir).map_err(|error| error.to_string())?;
    let mut findings = Findings::default();
    if let Some(operation) = record.and_then(|record| record.operation) {
        let why = format!("a maintenance is already in phase {}; see `node-agent status`", operation.phase);
        findings.reasons.push(why);
        findings.phase = Some(operation.phase);
        findings.maintain_ends = Some(operation.in_the_way(true).exit_code);
        // The record is enough. The API would only add that a node that is out is not registered.
        return Ok(findings);
    }
    gather::machine(settings).now().map_err(|error| DriveError::from(error).to_string())?;
    let node = gather::node(settings).await?;
    let (found, scaling) = tokio::join!(
        own_groups::find(&node.load_balancer, &node.identity, search),
        check_scaling::ask(&node, settings),
    );
    let found = found.map_err(|error| why_not(&error))?;
    check_scaling::reason(scaling, &found).into_iter().for_each(|against| findings.add(against));
    for membership in found {
        let (name, kind) = (&membership.group.name, membership.group.target_type);
        let reading = read_group::read(&node.load_balancer, &membership.group.arn).await;
        let reading = reading.map_err(|error| Against::from(&error))?;
        if let Err(refusal) = reading.may_begin(node.identity.own_ids(kind), settings) {
            let why = format!("in target group {name}, {refusal}");
            match refusal {
                Refusal::NotNow(_) | Refusal::Stopped(_) => findings.add(why),
                Refusal::Policy(_) | Refusal::Misconfigured(_) | Refusal::Controlled(_) => {
                    findings.add(Against::lasting(why));
                }
            }
        }
        if let Some(against) = local_check(&node.identity, &membership, settings).await? {
            findings.add(against);
        }
        let slot =
            reading.policy.as_ref().map(|policy| reading.leases.slot(&node.identity.instance_id, policy));
        if let Ok(Slot::Taken(by)) = slot {
            let why = format!("in target group {name}, all slots are taken by {by}; `maintain` would wait");
            findings.add(why);
        }
        let lease = reading.leases.of(&node.identity.instance_id).map(|lease| lease.word().to_owned());
        let us = node.identity.own_ids(kind);
        let own = us.registered(&reading.targets);
        findings.groups.push(GroupFindings {
            name: name.clone(),
            targets: own.map(|state| format!("{} is {state}", state.target)).collect(),
            lease,
            paused: reading.policy.ok().and_then(|policy| policy.paused),
        });
    }
    Ok(findings)
}

/// What `maintain` would find before it leaves: a service that does not pass the check with which it has to come back.
async fn local_check(
    identity: &Identity,
    membership: &Membership,
    settings: &Settings,
) -> Result<Option<Against>, Against> {
    if settings.repair || settings.on_unhealthy == OnUnhealthy::Register {
        return Ok(None);
    }
    let (group, pairs) = (&membership.group, membership.pairs());
    if let Some(why) = local_check::never_passes(&group.health_check, settings) {
        return Ok(Some(Against::lasting(format!("in target group {}, {why}", group.name))));
    }
    if membership
        .own
        .iter()
        .any(|state| state.is_registered() && state.health != TargetHealth::Healthy && !state.is_not_in_use())
    {
        // Then the load balancer says it, too.
        return Ok(None);
    }
    let service = gather::service()?;
    let address = local_check::address_of(identity, group);
    let own = OwnTargets { check: &group.health_check, pairs: &pairs, address };
    let mut not_passed = Vec::new();
    for left in (0..TRIES).rev() {
        not_passed = check_targets(&*service, own, settings).await;
        if not_passed.is_empty() {
            return Ok(None);
        }
        if left > 0 {
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
    }
    Ok(not_passed.first().map(|why| Against::lasting(local_check::advice(&group.name, why))))
}

fn why_not(error: &MembershipError) -> Against {
    match error {
        MembershipError::Call(error) => error.into(),
        other => Against::lasting(other.to_string()),
    }
}
