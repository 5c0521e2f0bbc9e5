//! `check --start`: whether `maintain` could take this node out now. Changes nothing.

use crate::agent::gather;
use crate::aws::own_groups::{self, MembershipError};
use crate::cli::check_scaling;
use crate::cli::findings::{Findings, GroupFindings, cannot_tell};
use crate::lease::Slot;
use crate::maintenance::context::DriveError;
use crate::maintenance::read_group;
use crate::record::journal;
use crate::settings::Settings;

/// The reasons why `maintain` could not take this node out now.
pub(super) async fn may_start(settings: &Settings) -> Result<Findings, String> {
    let record = journal::read(&settings.state_dir).map_err(|error| error.to_string())?;
    let mut findings = Findings::default();
    if let Some(operation) = record.and_then(|record| record.operation) {
        let why = format!("a maintenance is already in phase {}; see `node-agent status`", operation.phase);
        findings.reasons.push(why);
        findings.phase = Some(operation.phase);
        // The record is enough. The API would only add that a node that is out is not registered.
        return Ok(findings);
    }
    gather::machine(settings).now().map_err(|error| DriveError::from(error).to_string())?;
    let node =
        gather::node(settings).await.map_err(|complaint| format!("cannot tell: {:#}", complaint.error))?;
    let (found, scaling) = tokio::join!(
        own_groups::find(&node.load_balancer, &node.identity, &settings.target_groups),
        check_scaling::ask(&node, settings),
    );
    let found = found.map_err(|error| why_not(&error))?;
    findings.reasons.extend(check_scaling::reason(scaling, &found));
    for membership in found {
        let (name, kind) = (&membership.group.name, membership.group.target_type);
        let reading = read_group::read(&node.load_balancer, &membership.group.arn).await;
        let reading = reading.map_err(|error| cannot_tell(&error))?;
        if let Err(refusal) = reading.may_begin(node.identity.own_ids(kind), settings) {
            findings.reasons.push(format!("in target group {name}, {refusal}"));
        }
        let slot =
            reading.policy.as_ref().map(|policy| reading.leases.slot(&node.identity.instance_id, policy));
        if let Ok(Slot::Taken(by)) = slot {
            let why = format!("in target group {name}, all slots are taken by {by}; `maintain` would wait");
            findings.reasons.push(why);
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

fn why_not(error: &MembershipError) -> String {
    match error {
        MembershipError::Call(error) => cannot_tell(error),
        other => other.to_string(),
    }
}
