//! `status`: this node, its target groups, who holds or waits for a slot, and what blocks the next node. On a machine that
//! is no node: all groups, without the node's part.

use crate::agent::failure::Complaint;
use crate::agent::gather;
use crate::agent::who;
use crate::aws::instance_metadata::{Identity, identify};
use crate::aws::load_balancer::LoadBalancer;
use crate::aws::own_groups::{self, MembershipError};
use crate::aws::target_group::{TargetHealth, TargetState};
use crate::cli::args::StatusArgs;
use crate::cli::operator;
use crate::cli::say::say;
use crate::cli::status_facts::GroupStatus;
use crate::cli::status_facts::LeaseStatus;
use crate::cli::status_facts::Status;
use crate::cli::status_facts::TargetStatus;
use crate::cli::status_text;
use crate::exit;
use crate::lease::explain::{self};
use crate::lease::policy::Policy;
use crate::lease::snapshot::GroupSnapshot;
use crate::lease::{Leases, Reading};
use crate::maintenance::progress;
use crate::maintenance::read_group;
use crate::record::Operation;
use crate::record::journal;
use crate::settings::{Settings, SettingsError};
use jiff::Timestamp;
use std::collections::BTreeMap;

pub(super) async fn status(
    settings: &Settings,
    args: &StatusArgs,
    unusable: Option<SettingsError>,
) -> Result<u8, Complaint> {
    let (status, exit_code) = gather_status(settings, unusable).await;
    if args.json {
        let text = serde_json::to_string_pretty(&status).map_err(|e| Complaint::new(exit::FAILED, e))?;
        say(&format!("{text}\n"));
    } else {
        say(&status_text::text(&status));
    }
    Ok(exit_code)
}

/// What can be told, and the exit code that goes with it.
async fn gather_status(settings: &Settings, unusable: Option<SettingsError>) -> (Status, u8) {
    let mut status = Status {
        at: Timestamp::now(),
        instance_id: None,
        operation: None,
        driven: journal::is_driven(&settings.state_dir),
        doing: None,
        last: None,
        groups: Vec::new(),
        problems: unusable.iter().map(ToString::to_string).collect(),
    };
    let mut remembered = None;
    match journal::read(&settings.state_dir) {
        Ok(Some(record)) => {
            remembered = Some(who::remembered(&record));
            status.last = record.finished.last().cloned();
            status.operation = record.operation;
            status.doing = progress::written(&settings.state_dir).filter(|_| status.driven);
        }
        Ok(None) => (),
        Err(error) => status.problems.push(error.to_string()),
    }
    // A node in trouble may have neither metadata service nor credentials, and its record still says what it is about.
    let identity = identify(settings).await.ok().or(remembered);
    let mut exit_code = exit::NOTHING_CHANGED;
    match gather::reach(settings).await {
        Ok((load_balancer, _)) => add_groups(&mut status, &load_balancer, identity.as_ref(), settings).await,
        Err(complaint) => {
            exit_code = complaint.exit_code;
            status.problems.push(format!("{:#}", complaint.error));
        }
    }
    // A machine with an instance id need not be a node: it may be where an operator works.
    let is_node =
        status.operation.is_some() || status.groups.iter().any(|group| !group.own_targets.is_empty());
    let is_node = is_node || settings.instance_id.is_some() || status.last.is_some();
    status.instance_id = identity.map(|identity| identity.instance_id).filter(|_| is_node);
    let told_nothing = status.groups.is_empty() && status.operation.is_none() && !status.problems.is_empty();
    (status, if told_nothing { exit_code } else { exit::DONE })
}

async fn add_groups(
    status: &mut Status,
    load_balancer: &LoadBalancer,
    identity: Option<&Identity>,
    settings: &Settings,
) {
    let me = identity.map(|identity| identity.instance_id.as_str());
    let groups = groups(load_balancer, identity, settings, status.operation.as_ref()).await;
    let groups = groups.unwrap_or_else(|problem| {
        status.problems.push(problem);
        Vec::new()
    });
    for (arn, name) in groups {
        match read_group::read(load_balancer, &arn).await {
            Ok(reading) => status.groups.push(group_status(me, name, arn, &reading, status.at)),
            Err(error) => status.problems.push(error.to_string()),
        }
    }
}

/// Our groups, by the record or by membership; for a machine in none of them, all groups. As (ARN, name).
async fn groups(
    load_balancer: &LoadBalancer,
    identity: Option<&Identity>,
    settings: &Settings,
    operation: Option<&Operation>,
) -> Result<Vec<(String, String)>, String> {
    let on_record = operation.into_iter().flat_map(Operation::live_groups);
    let on_record: Vec<_> = on_record.map(|group| (group.arn.clone(), group.name.clone())).collect();
    if !on_record.is_empty() {
        return Ok(on_record);
    }
    let named = &settings.target_groups;
    let told = |error: MembershipError| match error {
        MembershipError::Call(error) => format!("{:#}", operator::complaint(&error).error),
        error => error.to_string(),
    };
    let mut groups = own_groups::at_least_one(load_balancer, named).await.map_err(told)?;
    if let Some(identity) = identity.filter(|_| named.is_empty()) {
        let found = own_groups::memberships(load_balancer, identity, groups.clone()).await;
        let found = found.map_err(|error| told(error.into()))?.into_iter();
        let ours = found.filter(|m| !m.pairs().is_empty()).map(|m| m.group).collect::<Vec<_>>();
        groups = if ours.is_empty() { groups } else { ours };
    }
    Ok(groups.into_iter().map(|group| (group.arn, group.name)).collect())
}

fn group_status(
    me: Option<&str>,
    name: String,
    arn: String,
    reading: &GroupSnapshot,
    now: Timestamp,
) -> GroupStatus {
    let own = reading.targets.iter().filter(|state| Some(state.target.id.as_str()) == me);
    let policy: Option<&Policy> = reading.policy.as_ref().ok();
    let instances = instances(&reading.targets);
    GroupStatus {
        name,
        arn,
        max_unavailable: policy.map(|policy| policy.max_unavailable),
        slots: policy.map(|policy| reading.leases.slots("", policy)),
        fleet_size: policy.and_then(|policy| policy.fleet_size),
        min_healthy: policy.map(|policy| policy.min_healthy),
        max_failures: policy.map(|policy| policy.max_failures),
        paused: policy.and_then(|policy| policy.paused.clone()),
        own_targets: own
            .map(|s| TargetStatus { target: s.target.to_string(), state: s.to_string() })
            .collect(),
        healthy: instances.values().filter(|healthy| **healthy).count(),
        registered: instances.len(),
        leases: lease_statuses(reading),
        blocks: explain::blocks(reading, now),
        notes: explain::notes(reading),
    }
}

/// Every registered instance, and whether all its targets are healthy.
fn instances(targets: &[TargetState]) -> BTreeMap<&str, bool> {
    let mut instances = BTreeMap::new();
    for state in targets.iter().filter(|state| state.is_registered()) {
        let healthy = instances.entry(state.target.id.as_str()).or_insert(true);
        *healthy &= state.health == TargetHealth::Healthy;
    }
    instances
}

/// Those who take a slot first, then the queue in its order, then the marks.
fn lease_statuses(reading: &GroupSnapshot) -> Vec<LeaseStatus> {
    let leases: &Leases = &reading.leases;
    let queue = leases.queue();
    let mut statuses: Vec<_> = leases
        .iter()
        .map(|(id, lease)| {
            let (since, operation) = match lease {
                Reading::Tag(tag) => (tag.at, tag.operation.clone()),
                Reading::Unreadable(value) => (None, value.clone()),
            };
            LeaseStatus {
                instance_id: id.to_owned(),
                state: lease.word(),
                takes_slot: lease.takes_slot(),
                place: queue.iter().position(|waiting| *waiting == id).map(|place| place + 1),
                registered: explain::is_registered(reading, id, lease),
                since,
                operation,
            }
        })
        .collect();
    statuses.sort_by_key(|lease| (!lease.takes_slot, lease.place.unwrap_or(usize::MAX)));
    statuses
}
