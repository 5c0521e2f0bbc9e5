//! What blocks the next node of a target group, and what to do about it. For people only: the steps decide for themselves,
//! with the functions that this file calls.

use crate::aws::target_group::{OwnIds, TargetHealth, is_idle};
use crate::lease::capacity::{self, Allowance};
use crate::lease::policy::Policy;
use crate::lease::queue::MOST_TAGS;
use crate::lease::snapshot::GroupSnapshot;
use crate::lease::{LeaseState, Leases, Reading, Stopped};
use crate::machine::time::ago;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;

/// A slot that has been held for longer than this many seconds gets more advice than "wait".
const LONG: i64 = 3600;

/// Something that blocks the next node, or will.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// What it is.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

impl Remark {
    fn new(what: impl Into<String>, advice: impl Into<String>) -> Remark {
        Remark { what: what.into(), advice: advice.into() }
    }
}

/// Everything that blocks the next node. Empty: it could leave now.
pub fn blocks(reading: &GroupSnapshot, now: Timestamp) -> Vec<Remark> {
    let policy = match &reading.policy {
        Ok(policy) => policy,
        Err(bad) => {
            return vec![Remark::new(bad.to_string(), "correct the tag, or remove it for the default")];
        }
    };
    let next = next(reading);
    let mut blocks = stopped(&reading.leases, policy, &next);
    let holders: Vec<_> = reading.leases.iter().filter(|(_, lease)| lease.takes_slot()).collect();
    let slots = reading.leases.slots(&next.instance, policy);
    if holders.len() >= slots as usize {
        blocks.extend(holders.into_iter().map(|(id, lease)| taken(id, lease, slots, now)));
    } else if let Err(shortage) = capacity::may_leave(next.ids(), reading.view(policy), Allowance::default())
    {
        let advice = "bring those nodes back into service, or correct the policy tags of the group";
        blocks.push(Remark::new(format!("for {}: {shortage}", next.target), advice));
    }
    blocks
}

/// What blocks nothing yet, but does not go away by itself.
pub fn notes(reading: &GroupSnapshot) -> Vec<Remark> {
    let mut notes = Vec::new();
    if is_idle(&reading.targets) {
        notes.push(Remark::new(
            "no load balancer uses this group, so its targets get no requests and no health checks",
            "nothing, if it is the idle colour of a blue/green pair; else let a listener forward to it",
        ));
    }
    if reading.tags > MOST_TAGS {
        let what = format!(
            "the group has {} of at most 50 tags: no node joins the queue above {MOST_TAGS}",
            reading.tags
        );
        notes.push(Remark::new(
            what,
            "remove tags that are not needed; for leases, see `node-agent lease gc`",
        ));
    }
    for (id, lease) in reading.leases.iter().filter(|(id, lease)| !is_registered(reading, id, lease)) {
        let advice = format!("if it is terminated: `node-agent lease gc {id}`");
        let what = match lease.state() {
            // A node in maintenance is not registered.
            Some(LeaseState::Held | LeaseState::Halted) | None => continue,
            Some(state) => format!("{id} is {state} and no longer registered"),
        };
        notes.push(Remark::new(what, advice));
    }
    notes
}

/// Whether a lease's owner has a registered target in the group.
pub fn is_registered(reading: &GroupSnapshot, id: &str, lease: &Reading) -> bool {
    let target = lease.target().unwrap_or(id);
    reading.targets.iter().any(|state| state.target.id == target && state.is_registered())
}

impl Next {
    /// How the guard names it: others only see its target.
    fn ids(&self) -> OwnIds<'_> {
        OwnIds { instance: &self.target, addresses: &[] }
    }
}

/// The node that would go next: the first in the queue, else a healthy node without a lease, else any node.
struct Next {
    instance: String,
    target: String,
}

fn next(reading: &GroupSnapshot) -> Next {
    let in_line = |id: &&str| reading.leases.of(id).is_some_and(|lease| is_registered(reading, id, lease));
    if let Some(id) = reading.leases.queue().into_iter().find(in_line) {
        let target = reading.leases.of(id).and_then(Reading::target).unwrap_or(id);
        return Next { instance: id.to_owned(), target: target.to_owned() };
    }
    let tagged: BTreeSet<&str> =
        reading.leases.iter().map(|(id, lease)| lease.target().unwrap_or(id)).collect();
    let free = reading.targets.iter().filter(|state| state.is_registered());
    let free: Vec<_> = free.filter(|state| !tagged.contains(state.target.id.as_str())).collect();
    let healthy = free.iter().find(|state| state.health == TargetHealth::Healthy);
    let target = healthy.or(free.first()).map(|state| state.target.id.clone()).unwrap_or_default();
    Next { instance: target.clone(), target }
}

/// A pause, and failures beyond the limit.
fn stopped(leases: &Leases, policy: &Policy, next: &Next) -> Vec<Remark> {
    match leases.may_start(&next.instance, policy) {
        Ok(()) => Vec::new(),
        Err(Stopped::Paused(reason)) => {
            vec![Remark::new(format!("paused: {reason}"), "run `node-agent unpause` when that is over")]
        }
        Err(Stopped::Failures { limit, .. }) => {
            let failed = leases.iter().filter(|(id, lease)| lease.is_failure() && *id != next.instance);
            failed.map(|(id, lease)| failure(id, lease, limit)).collect()
        }
    }
}

fn failure(id: &str, lease: &Reading, limit: u32) -> Remark {
    let what =
        format!("{id} is {}; at most {limit} failures are allowed (node-agent/max-failures)", lease.word());
    let advice = if lease.takes_slot() {
        format!("see why with `node-agent status` on {id}; repair it, then run `node-agent resume` there")
    } else {
        format!(
            "find out why it failed; then run `node-agent maintain` there, or `node-agent lease clear {id}`"
        )
    };
    Remark::new(what, advice)
}

/// A slot that is in use.
fn taken(id: &str, lease: &Reading, slots: u32, now: Timestamp) -> Remark {
    let at = match lease {
        Reading::Tag(tag) => tag.at,
        Reading::Unreadable(_) => None,
    };
    let since = at.map(|at| format!(" since {} ({})", at.strftime("%H:%M:%SZ"), ago(at, now)));
    let s = if slots == 1 { "" } else { "s" };
    let what =
        format!("{id} is {}{} and uses one of {slots} slot{s}", lease.word(), since.unwrap_or_default());
    let gone = format!(
        "agent stopped for good: `node-agent lease break {id}`; terminated: `node-agent lease gc {id}`"
    );
    let is_long = at.is_some_and(|at| now.as_second() - at.as_second() > LONG);
    let advice = match lease.state() {
        Some(LeaseState::Halted) => format!("repair it, then run `node-agent resume` on {id}; {gone}"),
        None => format!("find out what wrote this tag (a newer agent on {id}?); {gone}"),
        _ if is_long => {
            format!("longer than most maintenances take: run `node-agent status` on {id}; {gone}")
        }
        _ => "wait for it".to_owned(),
    };
    Remark::new(what, advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::target_group::{Attributes, Target, TargetState};
    use std::collections::BTreeMap;

    /// 02:00:00Z on some day.
    fn now() -> Timestamp {
        "2026-01-02T02:00:00Z".parse().unwrap()
    }

    /// Healthy targets a, b and c, with these tags.
    fn group(tags: &[(&str, &str)]) -> GroupSnapshot {
        let tag = |(key, value): &(&str, &str)| (format!("node-agent/{key}"), (*value).to_owned());
        let tags: BTreeMap<_, _> = tags.iter().map(tag).collect();
        let target = |id: &str| TargetState {
            target: Target::new(id, 80),
            zone: None,
            health: TargetHealth::Healthy,
            reason: String::new(),
            administrative_override: None,
        };
        GroupSnapshot {
            lease_keys: Vec::new(),
            attributes: Attributes { cross_zone: true, ..Attributes::default() },
            policy: Policy::from_tags(&tags),
            leases: Leases::from_tags(&tags),
            tags: tags.len(),
            targets: ["a", "b", "c"].map(target).to_vec(),
            cluster: None,
        }
    }

    #[track_caller]
    fn says(remarks: &[Remark], parts: &[(&str, &str)]) {
        assert_eq!(remarks.len(), parts.len(), "{remarks:#?}");
        for (remark, (what, advice)) in remarks.iter().zip(parts) {
            assert!(remark.what.contains(what) && remark.advice.contains(advice), "{remark:#?}");
        }
    }

    #[test]
    fn nothing_blocks_a_healthy_group() {
        says(&blocks(&group(&[]), now()), &[]);
        says(&notes(&group(&[])), &[]);
    }

    #[test]
    fn the_advice_for_a_holder_is_to_wait_and_after_an_hour_to_look() {
        let held = |at| blocks(&group(&[("lease/a", &format!("v1 p=held e=1 at=2026-01-02T{at}Z"))]), now());
        says(&held("01:57:00"), &[("a is held since 01:57:00Z (3 min ago)", "wait for it")]);
        says(&held("01:00:00"), &[("1 h", "wait for it")]);
        says(&held("00:59:59"), &[("1 h", "lease break a")]);
        says(&held("00:30:00"), &[("1 h 30 min ago", "lease break a")]);
    }

    #[test]
    fn a_lease_that_cannot_be_read_takes_a_slot_and_names_no_time() {
        let blocked = blocks(&group(&[("lease/a", "v7 p=resting")]), now());
        says(&blocked, &[("a is unreadable and uses one of 1 slot", "find out what wrote this tag")]);
    }

    #[test]
    fn only_failed_nodes_count_as_failures() {
        let (failed, waiting) = ("v1 p=failed e=1", "v1 p=waiting e=1 t=1");
        let tags = [("lease/a", failed), ("lease/b", waiting), ("lease/c", waiting)];
        says(&blocks(&group(&tags), now()), &[("a is failed", "lease clear a")]);
    }

    #[test]
    fn a_pause_and_a_failure_come_with_advice() {
        says(&blocks(&group(&[("paused", "release day")]), now()), &[("paused: release day", "unpause")]);
        says(&blocks(&group(&[("lease/a", "v1 p=failed e=1")]), now()), &[("a is failed", "lease clear a")]);
        says(
            &blocks(&group(&[("lease/a", "v1 p=halted e=1")]), now()),
            &[("a is halted; at most 0", "resume"), ("uses one of 1 slot", "resume")],
        );
    }

    #[test]
    fn a_group_that_cannot_spare_a_node_names_the_missing_ones() {
        let mut sick = group(&[]);
        sick.targets[1].health = TargetHealth::Unhealthy;
        says(&blocks(&sick, now()), &[("not healthy: b", "bring those nodes back")]);
        says(
            &blocks(&group(&[("fleet-size", "4")]), now()),
            &[("2 other nodes are healthy", "correct the policy tags")],
        );
    }

    #[test]
    fn a_policy_that_cannot_be_read_blocks() {
        says(&blocks(&group(&[("max-unavailable", "all")]), now()), &[("\"all\"", "correct the tag")]);
    }

    #[test]
    fn leases_of_nodes_that_are_gone_are_noted() {
        let gone = group(&[("lease/x", "v1 p=waiting e=1"), ("lease/y", "v1 p=held e=1")]);
        says(&notes(&gone), &[("x is waiting and no longer registered", "lease gc x")]);
    }

    #[test]
    fn a_group_that_is_full_of_tags_is_noted() {
        let keys: Vec<_> = (0..43).map(|number| format!("x{number}")).collect();
        let tags: Vec<_> = keys.iter().map(|key| (key.as_str(), "")).collect();
        says(&notes(&group(&tags)), &[("43 of at most 50 tags", "lease gc")]);
        says(&notes(&group(&tags[1..])), &[]);
    }
}
