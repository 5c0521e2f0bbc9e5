//! `status`: this node, its target groups, and who holds the lease and since when.

use super::{Complaint, StatusArgs, gather, say};
use crate::exit;
use crate::journal;
use crate::lease::Reading;
use crate::membership;
use crate::reading::GroupReading;
use crate::record::{Finished, Operation};
use crate::settings::Settings;
use serde::Serialize;
use std::fmt::Write;

#[derive(Serialize)]
struct Status {
    instance_id: String,
    operation: Option<Operation>,
    last: Option<Finished>,
    groups: Vec<GroupStatus>,
    /// Why part of it could not be told.
    problems: Vec<String>,
}

#[derive(Serialize)]
struct GroupStatus {
    name: String,
    arn: String,
    max_unavailable: Option<u32>,
    paused: Option<String>,
    own_targets: Vec<TargetStatus>,
    healthy: usize,
    registered: usize,
    leases: Vec<LeaseStatus>,
}

#[derive(Serialize)]
struct TargetStatus {
    target: String,
    state: String,
}

#[derive(Serialize)]
struct LeaseStatus {
    instance_id: String,
    lease: String,
    since: Option<jiff::Timestamp>,
    operation: String,
}

pub(super) async fn status(settings: &Settings, args: &StatusArgs) -> Result<u8, Complaint> {
    let status = gather_status(settings).await?;
    if args.json {
        let text = serde_json::to_string_pretty(&status).map_err(|e| Complaint::new(exit::FAILED, e))?;
        say(&format!("{text}\n"));
    } else {
        say(&text(&status));
    }
    Ok(exit::DONE)
}

async fn gather_status(settings: &Settings) -> Result<Status, Complaint> {
    let record = journal::read(&settings.state_dir).map_err(gather::journal_complaint)?;
    let node = gather::node(settings).await?;
    let mut status = Status {
        instance_id: node.identity.instance_id.clone(),
        operation: None,
        last: None,
        groups: Vec::new(),
        problems: Vec::new(),
    };
    let mut arns: Vec<(String, String)> = Vec::new();
    if let Some(record) = record {
        arns.extend(
            record.operation.iter().flat_map(Operation::live_groups).map(|g| (g.arn.clone(), g.name.clone())),
        );
        status.last = record.finished.last().cloned();
        status.operation = record.operation;
    }
    if arns.is_empty() {
        match membership::find(&node.load_balancer, &node.identity, &settings.target_groups).await {
            Ok(found) => arns.extend(found.into_iter().map(|m| (m.group.arn, m.group.name))),
            Err(error) => status.problems.push(error.to_string()),
        }
    }
    for (arn, name) in arns {
        match GroupReading::read(&node.load_balancer, &arn).await {
            Ok(reading) => status.groups.push(group_status(&node.identity.instance_id, name, arn, &reading)),
            Err(error) => status.problems.push(format!("{error}; {}", error.advice())),
        }
    }
    Ok(status)
}

fn group_status(me: &str, name: String, arn: String, reading: &GroupReading) -> GroupStatus {
    let own = reading.targets.iter().filter(|state| state.target.id == me);
    let healthy =
        reading.targets.iter().filter(|state| state.health == crate::target_group::TargetHealth::Healthy);
    let policy = reading.policy.as_ref().ok();
    GroupStatus {
        name,
        arn,
        max_unavailable: policy.map(|policy| policy.max_unavailable),
        paused: policy.and_then(|policy| policy.paused.clone()),
        own_targets: own
            .map(|s| TargetStatus { target: s.target.to_string(), state: s.to_string() })
            .collect(),
        healthy: healthy.count(),
        registered: reading.targets.len(),
        leases: reading.leases.iter().map(|(id, reading)| lease_status(id, reading)).collect(),
    }
}

fn lease_status(id: &str, reading: &Reading) -> LeaseStatus {
    let (lease, since, operation) = match reading {
        Reading::Tag(tag) => (tag.hold.to_string(), tag.at, tag.operation.clone()),
        Reading::Unreadable(value) => (format!("unreadable, counts as held: {value}"), None, String::new()),
    };
    LeaseStatus { instance_id: id.to_owned(), lease, since, operation }
}

fn text(status: &Status) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "node      {}", status.instance_id);
    match &status.operation {
        Some(operation) => {
            let since = operation.phase_began.utc.strftime("%Y-%m-%d %H:%M:%SZ");
            let _ = writeln!(out, "phase     {} since {since}", operation.phase);
            if let Some(failure) = &operation.failure {
                let _ = writeln!(out, "reason    {}", failure.reason);
            }
        }
        None => {
            let _ = writeln!(out, "phase     none: no maintenance under way");
        }
    }
    if let Some(last) = &status.last {
        let at = last.at.strftime("%Y-%m-%d %H:%M:%SZ");
        let reason = last.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let _ = writeln!(out, "last      {}, {at}{reason}", last.verdict);
    }
    for group in &status.groups {
        let k = group.max_unavailable.map_or("unreadable".to_owned(), |k| k.to_string());
        let _ = writeln!(
            out,
            "\ngroup     {}  {} of {} targets healthy, at most {k} out",
            group.name, group.healthy, group.registered
        );
        if let Some(reason) = &group.paused {
            let _ = writeln!(out, "paused    {reason}");
        }
        for target in &group.own_targets {
            let _ = writeln!(out, "target    {} {}", target.target, target.state);
        }
        if group.leases.is_empty() {
            let _ = writeln!(out, "leases    none");
        }
        for lease in &group.leases {
            let since = lease
                .since
                .map(|at| at.strftime(" since %Y-%m-%d %H:%M:%SZ").to_string())
                .unwrap_or_default();
            let _ =
                writeln!(out, "lease     {} {}{since} {}", lease.instance_id, lease.lease, lease.operation);
        }
    }
    for problem in &status.problems {
        let _ = writeln!(out, "problem   {problem}");
    }
    out
}
