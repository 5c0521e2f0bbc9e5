//! What `status` tells: the facts, as `--json` prints them.

use crate::lease::explain::Remark;
use crate::record::{Finished, Operation};
use jiff::Timestamp;
use serde::Serialize;

/// What `--json` prints; the text says the same.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    /// When it was read, by this machine's clock.
    pub(super) at: Timestamp,
    /// `None`: not on a node.
    pub(super) instance_id: Option<String>,
    pub(super) operation: Option<Operation>,
    /// A process drives it at this moment.
    pub(super) driven: bool,
    /// What that process waits for.
    pub(super) doing: Option<String>,
    pub(super) last: Option<Finished>,
    pub(super) groups: Vec<GroupStatus>,
    /// Why part of it could not be told.
    pub(super) problems: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct GroupStatus {
    pub(super) name: String,
    pub(super) arn: String,
    /// K, as its tag says; `None`: a policy tag cannot be read.
    pub(super) max_unavailable: Option<u32>,
    /// K as it binds until the holders that went by a smaller one have gone.
    pub(super) slots: Option<u32>,
    /// F, as its tag says.
    pub(super) fleet_size: Option<u32>,
    pub(super) min_healthy: Option<u32>,
    pub(super) max_failures: Option<u32>,
    pub(super) paused: Option<String>,
    pub(super) own_targets: Vec<TargetStatus>,
    /// Instances all of whose targets are healthy.
    pub(super) healthy: usize,
    /// Instances with a target that is not draining.
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
    /// In the queue, from 1.
    pub(super) place: Option<usize>,
    pub(super) registered: bool,
    pub(super) since: Option<Timestamp>,
    pub(super) operation: String,
}
