//! How a maintenance under way answers another request.

use super::Operation;
use crate::exit;
use crate::machine::time::Moment;
use crate::record::mailbox::Refused;
use crate::record::phase::{Phase, Stage};
use crate::record::request::Request;

impl Operation {
    /// Whether a request can join this operation. It cannot join a `drain` that is returning to service: its client expects
    /// the node to be out. Nor can it join one that may go on where its own limits would have ended it.
    pub fn may_be_joined_by(&self, request: &Request) -> bool {
        let works = !matches!(self.phase, Phase::Halted | Phase::Drained | Phase::Done);
        let comes_back = self.request.stay_out && self.phase.stage() == Stage::Returning;
        let unbroken = works && !comes_back && self.going_down.is_none();
        unbroken && self.request.same_work(request) && self.is_within_the_limits_of(request)
    }

    /// Whether the limits of this operation are at least as strict. Those that end it before the node leaves do not matter
    /// once it has left.
    fn is_within_the_limits_of(&self, request: &Request) -> bool {
        let (ours, theirs) = (&self.request.settings, &request.settings);
        let window_ends_first = request
            .not_after
            .is_none_or(|limit| self.request.not_after.is_some_and(|our_limit| our_limit <= limit));
        let leaves_in_time = window_ends_first && ours.lease_wait <= theirs.lease_wait;
        (self.left.is_some() || leaves_in_time) && ours.command_limit <= theirs.command_limit
    }

    /// The refusal for a request for other work. The advice depends on whether a driver is running.
    pub fn in_the_way(&self, driven: bool) -> Refused {
        let since = self.began.utc.strftime("%Y-%m-%d %H:%M:%SZ");
        let (what, exit_code) = match self.phase {
            Phase::Halted => {
                let reason = self.failure.as_ref().map(|failure| failure.reason.as_str()).unwrap_or_default();
                (format!("is halted ({reason}); repair it, then run `node-agent resume`"), exit::HALTED)
            }
            Phase::Drained => ("is drained; run `node-agent rejoin` first".to_owned(), exit::NOTHING_CHANGED),
            phase if driven => (
                format!("is at {phase}; wait until it is over (`node-agent status` shows its progress)"),
                exit::NOTHING_CHANGED,
            ),
            phase => (format!("stopped at {phase}; run `node-agent resume` first"), exit::NOTHING_CHANGED),
        };
        Refused { exit_code, reason: format!("an earlier maintenance of this node, started {since}, {what}") }
    }

    /// Whether the node is drained by hand, and its time limit has not passed.
    pub fn stays_drained(&self, now: &Moment) -> bool {
        let limit = self.request.settings.drained_limit.0;
        self.phase == Phase::Drained && self.phase_began.at_least_until(now) < limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::systemd::GoingDown;
    use crate::machine::time::Length;
    use crate::record::RebootWhen;
    use crate::record::operation::tests::operation;
    use jiff::Timestamp;
    use std::time::Duration;

    /// A maintenance at this phase, and whether another one can join it once both are changed like this.
    fn joins(phase: Phase, change: impl Fn(&mut Operation, &mut Request)) -> bool {
        let mut under_way = Operation { phase, ..operation() };
        let mut other = under_way.request.clone();
        change(&mut under_way, &mut other);
        under_way.may_be_joined_by(&other)
    }

    #[test]
    fn a_request_for_the_same_work_joins_a_maintenance_that_works() {
        assert!(joins(Phase::CheckGroup, |_, _| ()));
        assert!(joins(Phase::CheckHealth, |_, _| ()));
        for phase in [Phase::Halted, Phase::Drained, Phase::Done] {
            assert!(!joins(phase, |_, _| ()), "{phase}");
        }
        assert!(!joins(Phase::Drain, |ours, _| ours.going_down = Some(GoingDown::Reboot)));
        assert!(!joins(Phase::Drain, |_, other| other.reboot = RebootWhen::Never));
        assert!(!joins(Phase::Drain, |_, other| other.command = vec!["patch".into()]));
    }

    #[test]
    fn a_drain_is_not_joined_on_its_way_back() {
        let drain = |ours: &mut Operation, other: &mut Request| {
            (ours.request.stay_out, other.stay_out) = (true, true);
        };
        assert!(joins(Phase::Drain, drain));
        assert!(!joins(Phase::CheckHealth, drain));
    }

    #[test]
    fn a_request_joins_only_what_ends_no_later_than_it_would_itself() {
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        for (ours, theirs, may) in [
            (None, None, true),
            (at(5), None, true),
            (at(5), at(5), true),
            (at(4), at(5), true),
            (at(6), at(5), false),
            (None, at(5), false),
        ] {
            let windows = |under_way: &mut Operation, other: &mut Request| {
                (under_way.request.not_after, other.not_after) = (ours, theirs);
            };
            assert_eq!(joins(Phase::AcquireLease, windows), may, "{ours:?} {theirs:?}");
        }
        for (seconds, may) in [(59, false), (60, true), (61, true)] {
            let waits = |ours: &mut Operation, other: &mut Request| {
                ours.request.settings.lease_wait = Length::from_secs(60);
                other.settings.lease_wait = Length::from_secs(seconds);
            };
            assert_eq!(joins(Phase::AcquireLease, waits), may, "lease_wait {seconds}");
            let commands = |ours: &mut Operation, other: &mut Request| {
                ours.request.settings.command_limit = Length::from_secs(60);
                other.settings.command_limit = Length::from_secs(seconds);
            };
            assert_eq!(joins(Phase::AcquireLease, commands), may, "command_limit {seconds}");
            // Once the node has left, how long it may wait to leave no longer matters.
            let left = |under_way: &mut Operation, other: &mut Request| {
                waits(under_way, other);
                under_way.left = Some(under_way.began.clone());
            };
            assert!(joins(Phase::Drain, left), "lease_wait {seconds}");
        }
    }

    #[test]
    fn a_refusal_says_what_is_in_the_way_and_what_to_do() {
        for (phase, driven, code, advice) in [
            (Phase::Halted, false, exit::HALTED, "node-agent resume"),
            (Phase::Drained, true, exit::NOTHING_CHANGED, "is drained; run `node-agent rejoin` first"),
            (Phase::Drain, true, exit::NOTHING_CHANGED, "is at drain; wait until it is over"),
            (Phase::Drain, false, exit::NOTHING_CHANGED, "stopped at drain; run `node-agent resume` first"),
        ] {
            let Refused { exit_code, reason } = Operation { phase, ..operation() }.in_the_way(driven);
            assert_eq!(exit_code, code, "{reason}");
            assert!(reason.contains(advice), "{reason}");
        }
    }

    #[test]
    fn a_node_stays_drained_until_its_limit() {
        let began = operation().began;
        let after = |phase, passed: Duration| {
            let mut drained = Operation { phase, ..operation() };
            drained.request.settings.drained_limit = Length::from_secs(60);
            let uptime_ms = drained.phase_began.uptime_ms + u64::try_from(passed.as_millis()).unwrap();
            drained.stays_drained(&Moment { uptime_ms, ..began.clone() })
        };
        assert!(after(Phase::Drained, Duration::from_millis(59_999)));
        assert!(!after(Phase::Drained, Duration::from_secs(60)));
        assert!(!after(Phase::Drain, Duration::ZERO));
    }
}
