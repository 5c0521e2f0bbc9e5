//! The facts of `status`, as `--json` prints them.

use crate::aws::target_group::{OwnIds, TargetHealth, TargetState};
use crate::lease::explain::{self, Remark};
use crate::lease::policy::Policy;
use crate::lease::snapshot::GroupSnapshot;
use crate::lease::{Leases, Reading};
use crate::record::{Finished, Operation};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// The facts of `status`. `status_text` prints them for people.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    /// Time of the reads, by this machine's clock.
    pub(super) at: Timestamp,
    /// `None`: this machine is not a node.
    pub(super) instance_id: Option<String>,
    /// Why the record could not be read: what this node does is unknown.
    pub(super) record_problem: Option<String>,
    pub(super) operation: Option<Operation>,
    /// A driver is running.
    pub(super) driven: bool,
    /// What the driver waits for.
    pub(super) doing: Option<String>,
    pub(super) last: Option<Finished>,
    pub(super) groups: Vec<GroupStatus>,
    /// Why some facts are missing.
    pub(super) problems: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct GroupStatus {
    pub(super) name: String,
    pub(super) arn: String,
    /// K, from the policy tag; `None`: a policy tag is unreadable.
    pub(super) max_unavailable: Option<u32>,
    /// The effective K: a holder that claimed under a smaller one still binds.
    pub(super) slots: Option<u32>,
    /// F, from the policy tag.
    pub(super) fleet_size: Option<u32>,
    pub(super) min_healthy: Option<u32>,
    pub(super) max_failures: Option<u32>,
    pub(super) paused: Option<String>,
    pub(super) own_targets: Vec<TargetStatus>,
    /// Number of instances whose targets are all healthy.
    pub(super) healthy: usize,
    /// Number of instances with a target that is not draining.
    pub(super) registered: usize,
    pub(super) leases: Vec<LeaseStatus>,
    /// What keeps the next node in service.
    pub(super) blocks: Vec<Remark>,
    pub(super) notes: Vec<Remark>,
}

#[derive(Debug, Serialize)]
pub(super) struct TargetStatus {
    pub(super) target: String,
    pub(super) state: String,
}

#[derive(Debug, Serialize)]
pub(super) struct LeaseStatus {
    pub(super) instance_id: String,
    /// waiting, held, halted, failed, broken or unreadable
    pub(super) state: &'static str,
    pub(super) takes_slot: bool,
    /// Place in the queue, from 1.
    pub(super) place: Option<usize>,
    pub(super) registered: bool,
    pub(super) since: Option<Timestamp>,
    pub(super) operation: String,
}

impl GroupStatus {
    /// The group as a snapshot shows it. `me`: how the group calls this node.
    pub(super) fn of(
        us: Option<OwnIds<'_>>,
        name: String,
        arn: String,
        reading: &GroupSnapshot,
        now: Timestamp,
    ) -> GroupStatus {
        let own = reading.targets.iter().filter(|state| us.is_some_and(|us| us.include(&state.target.id)));
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
}

/// Every registered instance, and whether its targets are all healthy.
fn instances(targets: &[TargetState]) -> BTreeMap<&str, bool> {
    let mut instances = BTreeMap::new();
    for state in targets.iter().filter(|state| state.is_registered()) {
        let healthy = instances.entry(state.target.id.as_str()).or_insert(true);
        *healthy &= state.health == TargetHealth::Healthy;
    }
    instances
}

/// Leases that take a slot, then the queue in order, then marks.
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
