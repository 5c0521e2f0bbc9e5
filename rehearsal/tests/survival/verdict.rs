//! What must be so in the end.

use crate::fleet::Fleet;
use crate::play::{Ended, Play};
use crate::trouble::{ANOTHER_ADDRESS, ANOTHER_PORT, Trouble, Turned};
use local_alb::{TargetHealth, TargetView};
use node_agent::record::Verdict;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

/// The node's registrations before anything was done: group, port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before(BTreeSet<(String, u16)>);

impl Before {
    pub fn of(fleet: &Fleet) -> Before {
        Before(registered(fleet).into_iter().map(|(arn, port, _)| (arn, port)).collect())
    }

    /// Each group with each port.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, u16)> {
        self.0.iter().map(|(arn, port)| (arn.as_str(), *port))
    }
}

/// The registrations of the node, without those that somebody else added.
fn registered(fleet: &Fleet) -> Vec<(String, u16, TargetHealth)> {
    let id = &fleet.nodes[0].target_id;
    let of = |arn: &String| {
        let own = fleet.alb.targets(arn).into_iter();
        let own = own.filter(|target| target.id == *id && target.port != ANOTHER_PORT);
        let own = own.filter(|target| target.state != TargetHealth::NotRegistered);
        own.map(|target| (arn.clone(), target.port, target.state)).collect::<Vec<_>>()
    };
    fleet.arns.iter().flat_map(of).collect()
}

impl Play {
    /// Registered with exactly the ports that it had, and healthy.
    pub fn is_in_service(&self) -> bool {
        let now = registered(&self.fleet);
        let healthy = now.iter().all(|(.., state)| *state == TargetHealth::Healthy);
        healthy && Before(now.into_iter().map(|(arn, port, _)| (arn, port)).collect()) == self.before
    }

    /// What somebody else added is healthy, too.
    pub fn is_added_back(&self) -> bool {
        self.added().all(|target| target.state == TargetHealth::Healthy)
    }

    /// The registrations of the node that somebody else added.
    fn added(&self) -> impl Iterator<Item = TargetView> {
        let targets = self.fleet.arns.iter().flat_map(|arn| self.fleet.alb.targets(arn));
        targets.filter(|target| target.id == ANOTHER_ADDRESS || target.port == ANOTHER_PORT)
    }

    /// The node's lease tags that are left.
    pub fn leases(&self) -> Vec<String> {
        let key = format!("node-agent/lease/{}", self.fleet.nodes[0].identity.instance_id);
        self.fleet.arns.iter().filter_map(|arn| self.fleet.alb.tags(arn).remove(&key)).collect()
    }

    pub fn commands_run(&self) -> usize {
        self.fleet.nodes[0].machine.ran.lock().unwrap().len()
    }

    pub fn reboots(&self) -> usize {
        self.fleet.nodes[0].machine.reboots.load(Ordering::Relaxed)
    }

    /// In service, as far as others let it: a group that was deleted is gone, and where somebody else deregistered the
    /// node after its last look, or before it had begun to leave, that is how it stays.
    fn is_back(&self, ended: &Ended) -> bool {
        let troubles = self.points.happened();
        let gone = troubles.contains(&Trouble::GroupDeleted).then(|| &self.fleet.arns[0]);
        let expected: BTreeSet<_> =
            self.before.0.iter().filter(|(arn, _)| Some(arn) != gone).cloned().collect();
        let now = registered(&self.fleet);
        let healthy = now.iter().all(|(.., state)| *state == TargetHealth::Healthy);
        let now: BTreeSet<_> = now.into_iter().map(|(arn, port, _)| (arn, port)).collect();
        if healthy && now == expected {
            return true;
        }
        let looked_since = self.points.could_see_deregistered();
        let left_before = self.points.had_left_before_deregistered();
        let never_left = match ended {
            Ended::Finished(finished) => finished.verdict == Verdict::NothingChanged,
            _ => !left_before,
        };
        // Of two ports one may have been taken away before the node looked which it has. The other may be one that was added.
        let some = !now.is_empty() || self.added().next().is_some();
        let fewer = !left_before && healthy && some && now.is_subset(&expected);
        troubles.contains(&Trouble::Deregistered) && (!looked_since || never_left || fewer)
    }

    /// Nothing is lost: every rule that is broken, in words.
    pub fn broken_rules(&self, ended: &Ended) -> Vec<String> {
        let mut broken = self.points.wrongs();
        let mut must = |holds: bool, rule: &str| {
            if !holds {
                broken.push(rule.to_owned());
            }
        };
        let (ran, reboots, leases) = (self.commands_run(), self.reboots(), self.leases());
        must(ran <= 1, "the command ran more than once");
        must(reboots <= 1, "more than one reboot was asked for");
        match ended {
            Ended::NotBegun => {
                must(self.is_back(ended), "not begun, and not in service");
                must(leases.is_empty(), "not begun, and a lease is left");
            }
            Ended::Finished(finished) => {
                must(self.is_back(ended), "finished, and not in service with its own ports");
                must(self.is_added_back(), "finished, and a registration that joined is not in service");
                let failed_only = leases.iter().all(|lease| lease.contains("p=failed"));
                match finished.verdict {
                    Verdict::NothingChanged => {
                        must(matches!(finished.exit_code, 75 | 2), "nothing changed, with another exit code");
                        must(ran == 0 && reboots == 0, "something was done and the verdict denies it");
                        must(leases.is_empty(), "nothing changed, and a lease is left");
                    }
                    Verdict::Succeeded => {
                        must(leases.is_empty(), "succeeded, and a lease is left");
                        must(ran == usize::from(self.kind.has_command()), "succeeded without its command");
                        let booted = self.fleet.nodes[0].machine.boot.load(Ordering::Relaxed) > 1;
                        must(booted || !self.kind.reboots(), "succeeded without its reboot");
                    }
                    Verdict::FailedButRestored | Verdict::GroupsDeleted => {
                        must(finished.reason.is_some(), "failed without a reason");
                        must(failed_only, "back in service, and the lease is kept");
                    }
                }
            }
            Ended::Halted(reason) => {
                must(!reason.is_empty(), "halted without a reason");
                let operation = self.fleet.nodes[0].operation();
                must(operation.is_some_and(|o| o.failure.is_some()), "halted, and no reason is on record");
                let troubles = self.points.happened();
                let by_others = |trouble: &Trouble| {
                    matches!(trouble, Trouble::TagWiped | Trouble::TagTurned(_) | Trouble::GroupDeleted)
                };
                let denied = [Trouble::Denied, Trouble::DeniedForLong].iter().any(|it| troubles.contains(it));
                // A lease ends with its group, and by an operator who breaks it. What others did to it is mended unless the
                // tags can be neither read nor written.
                let ended = troubles.contains(&Trouble::GroupDeleted)
                    || troubles.contains(&Trouble::TagTurned(Turned::Broken))
                    || (denied && troubles.iter().any(by_others));
                must(leases.iter().any(|lease| lease.contains("p=h")) || ended, "halted without its lease");
            }
            Ended::Stuck(_) => {
                let remembered = self.fleet.nodes[0].operation().is_some();
                must(remembered || self.is_back(ended), "stuck while out, and nothing is on record");
            }
        }
        broken
    }
}
