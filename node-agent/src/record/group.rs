//! One target group of an operation: our registrations and our lease in it.

use super::in_doubt::InDoubt;
use crate::aws::target_group::{Attributes, HealthCheck, Target, TargetType};
use crate::machine::time::Moment;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// One target group of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its ARN.
    pub arn: String,
    /// Its name, for people.
    pub name: String,
    /// What its targets are.
    pub target_type: TargetType,
    /// The port of a target that is registered without one, as an Auto Scaling group does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The load balancer's health check, on record because the local check after a boot must not depend on the API.
    pub health_check: HealthCheck,
    /// The address of this node as a target of type `instance`, for the local check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Our registrations: those before we left, and those that joined while we were out.
    pub pairs: Vec<Target>,
    /// Those of them that somebody else registered while we were out: the service may have moved to another port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<Target>,
    /// Its attributes, read again right before we leave.
    pub attributes: Attributes,
    /// How many targets the group had when the maintenance began.
    pub registered: usize,
    /// Our place in the queue, from before it is written until it is removed.
    pub ticket: Option<TicketOnRecord>,
    /// Our claim to a slot, from before it is written until its removal is acknowledged.
    pub claim: Option<ClaimOnRecord>,
    /// Our tag was `failed` before this operation.
    pub failed_before: bool,
    /// Keys of our leases from before our role was replaced, or before `lease_role_id` was set or removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_keys: Vec<String>,
    /// No load balancer used our targets before we left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_in_use: bool,
    /// When DeregisterTargets was acknowledged.
    pub deregistered: Option<Moment>,
    /// DeregisterTargets calls without an answer.
    pub deregisters_in_doubt: InDoubt,
    /// Lease writes without an answer.
    pub tags_in_doubt: InDoubt,
    /// The group was deleted during the operation.
    pub gone: bool,
}

/// A place in the queue, as on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketOnRecord {
    /// Smaller goes first.
    pub number: u64,
    /// The entry's nonce.
    pub nonce: String,
    /// Grows while waiting.
    pub sequence: u64,
    /// When it was last written.
    pub written: Moment,
}

/// A claim to a slot, as on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimOnRecord {
    /// Its nonce.
    pub nonce: String,
    /// The K that it applies.
    pub max_unavailable: u32,
    /// When it was made, for people; on record so that the tag can be written again unchanged.
    pub at: Timestamp,
}

impl Group {
    /// Adds a registration that somebody else made while we were out. False: it is on record.
    pub fn join(&mut self, target: &Target) -> bool {
        if self.pairs.contains(target) {
            return false;
        }
        self.pairs.push(target.clone());
        self.joined.push(target.clone());
        true
    }

    /// Whether it is one of our registrations from before we left, and others joined while we were out.
    pub fn is_older_than_others(&self, target: &Target) -> bool {
        !self.joined.is_empty() && self.pairs.contains(target) && !self.joined.contains(target)
    }

    /// Removes registrations. Returns them.
    pub fn forget(&mut self, goes: impl Fn(&Target) -> bool) -> Vec<Target> {
        self.joined.retain(|target| !goes(target));
        self.pairs.extract_if(.., |pair| goes(pair)).collect()
    }
}

impl TicketOnRecord {
    /// This place with a new sequence. Readers only check whether the sequence has changed, so it may wrap.
    pub fn refreshed(self, now: Moment) -> TicketOnRecord {
        TicketOnRecord { sequence: self.sequence.wrapping_add(1), written: now, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refresh_changes_the_sequence() {
        let at = |uptime_ms| Moment { boot_id: "boot".into(), uptime_ms, utc: Timestamp::UNIX_EPOCH };
        for (sequence, next) in [(0, 1), (u64::MAX, 0)] {
            let ticket = TicketOnRecord { number: 7, nonce: "1".into(), sequence, written: at(1) };
            let again = TicketOnRecord { sequence: next, written: at(2), ..ticket.clone() };
            assert_eq!(ticket.refreshed(at(2)), again);
        }
    }
}
