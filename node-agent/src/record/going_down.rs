//! The machine goes down by somebody else's will: what that means for the operation on record.

use super::Operation;
use crate::phase::Phase;
use crate::time::Moment;
use serde::{Deserialize, Serialize};

/// Which way the machine goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoingDown {
    /// It will be back in a moment.
    Reboot,
    /// It may never be back.
    PowerOff,
}

/// What is left to do about an operation before the machine goes down, so that no request is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// Nothing: no request can reach us.
    Nothing,
    /// It has not left service yet: its lease goes back, and the node leaves as one that was idle.
    GiveBack,
    /// It is on its way out: wait until no request can reach us.
    Drain,
    /// It is on its way back, and may be in service already: leave again.
    LeaveAgain,
}

impl Operation {
    /// What the guard has to do about it.
    pub fn remains(&self) -> Remains {
        match self.phase {
            _ if !self.out => Remains::GiveBack,
            Phase::Deregister | Phase::Drain => Remains::Drain,
            // Halted on the way back, or looking again after that, it may be registered all the same.
            Phase::CheckHealth
            | Phase::Register
            | Phase::WaitInService
            | Phase::ReleaseLease
            | Phase::Halted => Remains::LeaveAgain,
            _ => Remains::Nothing,
        }
    }

    /// Its way ends at the drain: whatever comes after is for the next boot.
    pub fn goes_down(&mut self, how: GoingDown, now: Moment) {
        self.going_down = Some(how);
        // Asking whether the group can spare us changes nothing about the machine.
        self.forced = true;
        if self.remains() == Remains::LeaveAgain {
            self.enter(Phase::Deregister, now);
        }
    }

    /// Whether it has come as far as it can before the machine is down: never into service again.
    pub fn waits_for_the_next_boot(&self) -> bool {
        self.going_down.is_some() && self.out && self.phase > Phase::Drain
    }
}

#[cfg(test)]
mod tests {
    use super::super::operation::tests::operation;
    use super::*;
    use jiff::Timestamp;

    fn moment(boot: &str) -> Moment {
        Moment { boot_id: boot.into(), uptime_ms: 9, utc: Timestamp::UNIX_EPOCH }
    }

    fn at(phase: Phase, out: bool) -> Operation {
        Operation { phase, out, was_out: out, ..operation() }
    }

    #[test]
    fn only_a_node_that_requests_may_reach_has_something_to_do() {
        let left: Vec<_> = Phase::ALL
            .into_iter()
            .filter(|phase| *phase >= Phase::Deregister && *phase != Phase::Done)
            .map(|phase| (phase, at(phase, true).remains()))
            .filter(|(_, remains)| *remains != Remains::Nothing)
            .collect();
        assert_eq!(
            left,
            [
                (Phase::Deregister, Remains::Drain),
                (Phase::Drain, Remains::Drain),
                (Phase::CheckHealth, Remains::LeaveAgain),
                (Phase::Register, Remains::LeaveAgain),
                (Phase::WaitInService, Remains::LeaveAgain),
                (Phase::ReleaseLease, Remains::LeaveAgain),
                (Phase::Halted, Remains::LeaveAgain),
            ]
        );
        for phase in [Phase::CheckGroup, Phase::AcquireLease, Phase::Deregister, Phase::ReleaseLease] {
            assert_eq!(at(phase, false).remains(), Remains::GiveBack, "{phase}");
        }
    }

    #[test]
    fn a_node_on_its_way_back_leaves_again_and_comes_back_after_the_boot() {
        let mut operation = at(Phase::WaitInService, true);
        operation.goes_down(GoingDown::Reboot, moment("boot"));
        assert_eq!((operation.phase, operation.forced), (Phase::Deregister, true));
        operation.take_up(&moment("next"));
        assert_eq!((operation.phase, operation.going_down), (Phase::CheckHealth, None));
    }

    #[test]
    fn it_never_goes_past_the_drain_before_the_machine_is_down() {
        for phase in Phase::ALL.into_iter().filter(|phase| *phase != Phase::Done) {
            let mut operation = at(phase, true);
            assert!(!operation.waits_for_the_next_boot(), "{phase}");
            operation.going_down = Some(GoingDown::PowerOff);
            let leaving = phase <= Phase::Drain;
            assert_eq!(operation.waits_for_the_next_boot(), !leaving, "{phase}");
        }
    }

    #[test]
    fn taken_up_after_the_boot_a_node_that_had_not_left_only_gives_its_lease_back() {
        let mut operation = at(Phase::AcquireLease, false);
        operation.going_down = Some(GoingDown::Reboot);
        operation.take_up(&moment("next"));
        assert_eq!(operation.phase, Phase::ReleaseLease);
    }
}
