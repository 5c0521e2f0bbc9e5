//! The lease: which nodes may be out of service. Only decisions, on values just read; docs/lease.md explains the protocol.

pub mod capacity;
pub mod explain;
pub mod operator;
pub mod policy;
pub mod quarantine;
pub mod queue;
pub mod snapshot;
pub mod tag;

use crate::lease::policy::Policy;
use std::collections::BTreeMap;
pub use tag::{LeaseState, LeaseTag, Reading};

/// All lease tags of one target group, by instance id, as one read showed them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leases(BTreeMap<String, Reading>);

/// Whether a slot is free, according to one read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// One is free.
    Free,
    /// All are in use, by these nodes.
    Taken(String),
}

/// What the read after our settled claim shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The slot is ours.
    Confirmed,
    /// Our tag does not show this claim.
    NotVisible,
    /// An operator broke our lease.
    Broken,
    /// Too many nodes claim at once: each that sees this steps down and tries again later.
    StepDown(String),
}

/// Why no node may start in this group now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// The owner has paused maintenance.
    #[error("maintenance is paused: {0}; run `node-agent unpause` when that is over")]
    Paused(String),
    /// Maintenance failed on other nodes.
    #[error(
        "{} failed maintenance and at most {limit} may (node-agent/max-failures): {nodes}; repair them, then {advice}",
        if *count == 1 { "1 node".to_owned() } else { format!("{count} nodes") }
    )]
    Failures {
        /// How many.
        count: usize,
        /// `node-agent/max-failures`.
        limit: u32,
        /// Which, and how.
        nodes: String,
        /// What helps these nodes.
        advice: String,
    },
}

impl Leases {
    /// Picks the leases out of a target group's tags. An instance may have two keys after `lease_role_id` was set or
    /// removed: a lease that takes a slot counts first, then a place in the queue, then any other.
    pub fn from_tags(tags: &BTreeMap<String, String>) -> Leases {
        let mut leases: BTreeMap<String, Reading> = BTreeMap::new();
        for (key, value) in tags {
            let Some(owner) = tag::owner(key) else { continue };
            let reading = Reading::parse(value);
            match leases.get(owner) {
                Some(other) if other.weight() >= reading.weight() => (),
                _ => drop(leases.insert(owner.to_owned(), reading)),
            }
        }
        Leases(leases)
    }

    /// The lease of one instance.
    pub fn of(&self, instance: &str) -> Option<&Reading> {
        self.0.get(instance)
    }

    /// Every lease with its owner.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Reading)> {
        self.0.iter().map(|(id, reading)| (id.as_str(), reading))
    }

    /// The nodes that take a slot, by their target id in the group.
    pub fn holders(&self) -> impl Iterator<Item = &str> {
        let holders = self.iter().filter(|(_, reading)| reading.takes_slot());
        holders.map(|(id, reading)| reading.target().unwrap_or(id))
    }

    /// Whether the lease of a node that is out has to be written again: its tag was removed, or turned into one that takes no
    /// slot. An operator's `broken` stays.
    pub fn has_lost_its_slot(&self, me: &str) -> bool {
        let keeps = |own: &Reading| own.takes_slot() || own.state() == Some(LeaseState::Broken);
        !self.of(me).is_some_and(keeps)
    }

    fn others<'a>(&'a self, me: &str) -> impl Iterator<Item = (&'a str, &'a Reading)> {
        self.iter().filter(move |(id, _)| *id != me)
    }

    pub(crate) fn other_holders<'a>(&'a self, me: &str) -> impl Iterator<Item = (&'a str, &'a Reading)> {
        self.others(me).filter(|(_, reading)| reading.takes_slot())
    }

    /// The K that applies to us: a lowered K at once, a raised one once the holders under the smaller K have released.
    pub fn slots(&self, me: &str, policy: &Policy) -> u32 {
        let written = self.other_holders(me).filter_map(|(_, reading)| match reading {
            Reading::Tag(tag) => tag.max_unavailable,
            Reading::Unreadable(_) => None,
        });
        written.fold(policy.max_unavailable, u32::min)
    }

    /// Whether a node may start in this group. Our own failure does not count, because our next success clears it.
    ///
    /// # Errors
    /// [`Stopped`] with the reason and what to do.
    pub fn may_start(&self, me: &str, policy: &Policy) -> Result<(), Stopped> {
        if let Some(reason) = &policy.paused {
            return Err(Stopped::Paused(reason.clone()));
        }
        let failures: Vec<_> = self.others(me).filter(|(_, reading)| reading.is_failure()).collect();
        if failures.len() <= policy.max_failures as usize {
            return Ok(());
        }
        let (count, nodes, advice) = (failures.len(), list(&failures), after_repair(&failures));
        Err(Stopped::Failures { count, limit: policy.max_failures, nodes, advice })
    }

    /// Whether a slot is free for us.
    pub fn slot(&self, me: &str, policy: &Policy) -> Slot {
        let holders: Vec<_> = self.other_holders(me).collect();
        if holders.len() < self.slots(me, policy) as usize { Slot::Free } else { Slot::Taken(list(&holders)) }
    }

    /// The state of our claim, once it has settled. Only the nonce identifies it: a stale read may show an earlier claim of
    /// ours.
    pub fn confirm(&self, me: &str, nonce: &str, policy: &Policy) -> Claim {
        match self.of(me) {
            Some(Reading::Tag(tag)) if tag.state == LeaseState::Broken => Claim::Broken,
            Some(Reading::Tag(tag)) if tag.state == LeaseState::Held && tag.nonce == nonce => {
                // Others apply the K in our tag, so we must not apply a larger one from a stale read.
                let own = tag.max_unavailable.unwrap_or(policy.max_unavailable).min(policy.max_unavailable);
                match self.slot(me, &Policy { max_unavailable: own, ..policy.clone() }) {
                    Slot::Free => Claim::Confirmed,
                    Slot::Taken(by) => Claim::StepDown(by),
                }
            }
            _ => Claim::NotVisible,
        }
    }
}

/// What helps a failed node does not help a halted one.
fn after_repair(failures: &[(&str, &Reading)]) -> String {
    let is = |state| failures.iter().any(|(_, reading)| reading.state() == Some(state));
    let halted = "run `node-agent resume` on a halted node";
    let failed = "run `node-agent maintain` on a failed node, or `node-agent lease clear` with its ID";
    match (is(LeaseState::Halted), is(LeaseState::Failed)) {
        (true, true) => format!("{halted}; {failed}"),
        (false, true) => failed.to_owned(),
        _ => halted.to_owned(),
    }
}

fn list(leases: &[(&str, &Reading)]) -> String {
    let describe = |(id, reading): &(&str, &Reading)| match reading {
        Reading::Unreadable(_) => format!("{id} (a lease tag that this version cannot read)"),
        Reading::Tag(tag) => {
            let since = tag.at.map(|at| format!(" since {}", at.strftime("%H:%M:%SZ"))).unwrap_or_default();
            format!("{id} ({}{since})", tag.state)
        }
    };
    leases.iter().map(describe).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leases(entries: &[(&str, &str)]) -> Leases {
        let tag = |(id, value): &(&str, &str)| (format!("node-agent/lease/{id}"), (*value).to_owned());
        Leases::from_tags(&entries.iter().map(tag).collect())
    }

    fn k(max_unavailable: u32) -> Policy {
        Policy { max_unavailable, ..Policy::default() }
    }

    #[test]
    fn a_slot_is_free_until_k_others_hold_one() {
        assert_eq!(leases(&[]).slot("me", &k(1)), Slot::Free);
        let one = leases(&[("a", "v1 p=held e=1 k=2"), ("b", "v1 p=waiting e=1"), ("c", "v1 p=failed e=1")]);
        assert_eq!(one.slot("me", &k(1)), Slot::Taken("a (held)".into()));
        assert_eq!(one.slot("me", &k(2)), Slot::Free);
        assert_eq!(one.slot("a", &k(1)), Slot::Free);
    }

    #[test]
    fn halted_and_unreadable_tags_take_a_slot_and_broken_ones_do_not() {
        for value in ["v1 p=halted e=1", "v7 p=resting", "garbage"] {
            assert!(matches!(leases(&[("a", value)]).slot("me", &k(1)), Slot::Taken(_)), "{value}");
        }
        assert_eq!(leases(&[("a", "v1 p=broken e=1")]).slot("me", &k(1)), Slot::Free);
    }

    #[test]
    fn the_smallest_k_among_the_holders_binds() {
        let held_with_one = leases(&[("a", "v1 p=held e=1 k=1")]);
        assert!(matches!(held_with_one.slot("me", &k(3)), Slot::Taken(_)));
        let waiting_with_one = leases(&[("a", "v1 p=waiting e=1 k=1"), ("b", "v1 p=held e=1 k=3")]);
        assert_eq!(waiting_with_one.slot("me", &k(3)), Slot::Free);
    }

    #[test]
    fn a_claim_is_confirmed_only_by_its_own_nonce() {
        let now = |value| leases(&[("me", value)]).confirm("me", "new", &k(1));
        assert_eq!(now("v1 p=held e=new k=1"), Claim::Confirmed);
        assert_eq!(now("v1 p=held e=old k=1"), Claim::NotVisible);
        assert_eq!(now("v1 p=failed e=new"), Claim::NotVisible);
        assert_eq!(now("v1 p=broken e=new"), Claim::Broken);
        assert_eq!(leases(&[]).confirm("me", "new", &k(1)), Claim::NotVisible);
    }

    #[test]
    fn of_two_keys_of_one_instance_the_one_that_takes_a_slot_counts() {
        let both = |pinned: &str, plain: &str| leases(&[("AROAEXAMPLEID1234567:me", pinned), ("me", plain)]);
        let (held, left) = ("v1 p=held e=new k=1", "v1 p=failed e=old");
        for leases in [both(held, left), both(left, held), both(held, "v1 p=waiting e=old n=1")] {
            assert_eq!(leases.confirm("me", "new", &k(1)), Claim::Confirmed, "{leases:?}");
            assert!(matches!(leases.slot("other", &k(1)), Slot::Taken(_)), "{leases:?}");
        }
        let waiting = "v1 p=waiting e=new n=1";
        for leases in [both(waiting, left), both(left, waiting)] {
            assert_eq!(leases.of("me").map(Reading::word), Some("waiting"), "{leases:?}");
        }
    }

    #[test]
    fn two_claims_that_see_each_other_both_step_down() {
        let both = leases(&[("a", "v1 p=held e=1 k=1"), ("b", "v1 p=held e=2 k=1")]);
        assert!(matches!(both.confirm("a", "1", &k(1)), Claim::StepDown(_)));
        assert!(matches!(both.confirm("b", "2", &k(1)), Claim::StepDown(_)));
    }

    #[test]
    fn a_failed_node_stops_the_others_but_not_itself() {
        let failed = leases(&[("a", "v1 p=failed e=1 at=2026-01-02T03:04:05Z"), ("b", "v1 p=halted e=1")]);
        let message = failed.may_start("me", &k(1)).unwrap_err().to_string();
        assert!(
            message.starts_with("2 nodes failed") && message.contains("a (failed since 03:04:05Z)"),
            "{message}"
        );
        assert_eq!(failed.may_start("me", &Policy { max_failures: 2, ..k(1) }), Ok(()));
        assert_eq!(leases(&[("me", "v1 p=failed e=1")]).may_start("me", &k(1)), Ok(()));
    }

    #[test]
    fn the_advice_after_failures_fits_what_became_of_the_nodes() {
        let advice = |states: &[&str]| {
            let values: Vec<_> = states.iter().map(|state| format!("v1 p={state} e=1")).collect();
            let entries: Vec<_> = ["a", "b"].into_iter().zip(values.iter().map(String::as_str)).collect();
            match leases(&entries).may_start("me", &k(1)) {
                Err(Stopped::Failures { advice, .. }) => {
                    (advice.contains("node-agent resume"), advice.contains("lease clear"))
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(advice(&["failed"]), (false, true));
        assert_eq!(advice(&["halted"]), (true, false));
        assert_eq!(advice(&["halted", "failed"]), (true, true));
    }

    #[test]
    fn a_claim_that_names_a_smaller_k_than_the_group_is_confirmed_by_that() {
        let claimed = |own| {
            let claim = format!("v1 p=held e=new k={own}");
            leases(&[("me", &claim), ("a", "v1 p=held e=1 k=9")]).confirm("me", "new", &k(2))
        };
        assert!(matches!(claimed(1), Claim::StepDown(_)));
        assert_eq!(claimed(2), Claim::Confirmed);
        assert_eq!(claimed(3), Claim::Confirmed);
    }

    #[test]
    fn the_lease_of_a_node_that_is_out_is_written_again_unless_it_is_there_or_broken() {
        for (value, lost) in
            [("held", false), ("halted", false), ("broken", false), ("waiting", true), ("failed", true)]
        {
            let own = leases(&[("me", &format!("v1 p={value} e=1"))]);
            assert_eq!(own.has_lost_its_slot("me"), lost, "{value}");
        }
        assert!(leases(&[("a", "v1 p=held e=1")]).has_lost_its_slot("me"));
    }

    #[test]
    fn a_pause_stops_every_node_with_its_reason() {
        let policy = Policy { paused: Some("release day".into()), ..k(1) };
        let message = leases(&[]).may_start("me", &policy).unwrap_err().to_string();
        assert!(message.starts_with("maintenance is paused: release day"), "{message}");
    }
}
