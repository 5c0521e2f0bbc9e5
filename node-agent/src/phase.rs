//! The maintenance as a state machine: which phase follows which.
//!
//! The words here are the words everywhere: the step's file, the log field, the record on disk, the status
//! output and the diagram in ARCHITECTURE.md.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a maintenance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// We are a healthy member of our target groups, and they can spare us.
    CheckGroup,
    /// A lease on every target group, in the order of their ARNs.
    AcquireLease,
    /// Validate once more, put `out` on record, DeregisterTargets with the exact (id, port) pairs, look again.
    Deregister,
    /// Wait until no request can reach us.
    Drain,
    /// Out by hand: the lease is held until `rejoin`, or until the deadline passes.
    Drained,
    /// The patch, or any other command.
    RunCommand,
    /// The reboot, proved by a new boot id.
    Reboot,
    /// The service answers locally, several times in a row.
    CheckHealth,
    /// RegisterTargets with the pairs on record.
    Register,
    /// Wait until the load balancer calls us healthy.
    WaitInService,
    /// Give the lease back.
    ReleaseLease,
    /// The end; the verdict says how it went.
    Done,
    /// Stopped with the lease kept and the reason on record: a person is needed.
    Halted,
}

impl Phase {
    /// Every phase, in the order in which a maintenance meets them.
    pub const ALL: [Phase; 13] = [
        Phase::CheckGroup,
        Phase::AcquireLease,
        Phase::Deregister,
        Phase::Drain,
        Phase::Drained,
        Phase::RunCommand,
        Phase::Reboot,
        Phase::CheckHealth,
        Phase::Register,
        Phase::WaitInService,
        Phase::ReleaseLease,
        Phase::Done,
        Phase::Halted,
    ];

    /// The word for this phase, as in the record on disk.
    pub fn name(self) -> &'static str {
        match self {
            Phase::CheckGroup => "check_group",
            Phase::AcquireLease => "acquire_lease",
            Phase::Deregister => "deregister",
            Phase::Drain => "drain",
            Phase::Drained => "drained",
            Phase::RunCommand => "run_command",
            Phase::Reboot => "reboot",
            Phase::CheckHealth => "check_health",
            Phase::Register => "register",
            Phase::WaitInService => "wait_in_service",
            Phase::ReleaseLease => "release_lease",
            Phase::Done => "done",
            Phase::Halted => "halted",
        }
    }

    /// Whether a signal still turns the maintenance back (or stops the command). Later phases finish first:
    /// from there the only way into service leads forward.
    pub fn can_be_cancelled(self) -> bool {
        self <= Phase::RunCommand
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a phase ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// What the phase is for holds now.
    Ok,
    /// It does not, and trying longer is no use.
    Failed,
    /// Not now: the phase before has to be done again.
    Blocked,
    /// Somebody asked us to stop.
    Cancelled,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Outcome::Ok => "ok",
            Outcome::Failed => "failed",
            Outcome::Blocked => "blocked",
            Outcome::Cancelled => "cancelled",
        })
    }
}

/// What the way through the phases depends on, besides the last outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// `out` is on record: a DeregisterTargets may have been sent.
    pub out: bool,
    /// The operation is a `drain`: it stays out until `rejoin`.
    pub stay_out: bool,
    /// The command has begun, or the machine has booted: the service has to prove itself before it is registered.
    pub changed: bool,
}

/// A pair of phase and outcome that no maintenance can meet; only a damaged record leads here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no phase follows {phase} when it is {outcome}")]
pub struct NoSuchWay {
    /// The phase that ended.
    pub phase: Phase,
    /// How it ended.
    pub outcome: Outcome,
}

/// The phase that follows.
///
/// # Errors
/// [`NoSuchWay`] for a pair that cannot happen.
pub fn next(phase: Phase, outcome: Outcome, course: Course) -> Result<Phase, NoSuchWay> {
    use Outcome::{Blocked, Cancelled, Failed, Ok as Good};
    use Phase::*;
    Ok(match (phase, outcome) {
        // In service: there is nothing to undo but the lease.
        (CheckGroup, Good) => AcquireLease,
        (AcquireLease, Good) => Deregister,
        (AcquireLease | Deregister, Blocked) if !course.out => CheckGroup,
        (CheckGroup | AcquireLease, Failed | Cancelled) => ReleaseLease,
        (Deregister, Failed | Cancelled) if !course.out => ReleaseLease,

        // Out of service. Nothing done to the machine yet: turn back.
        (Deregister, Good) => Drain,
        (Deregister | Drain, Failed | Cancelled) if course.changed => CheckHealth,
        (Deregister | Drain, Failed | Cancelled) => Register,
        (Drain, Good) if course.stay_out => Drained,
        (Drain, Good) => RunCommand,

        // Somebody registered us while we were out: out again before anything breaks.
        (Drain | RunCommand | Reboot, Blocked) => Deregister,

        // The machine may have changed: the service has to prove itself.
        (RunCommand, Good) => Reboot,
        (RunCommand, Failed | Cancelled) => CheckHealth,
        (Reboot, Good) => CheckHealth,
        (Drained, Good) => CheckHealth,
        (CheckHealth, Good) => Register,
        (Register, Good) => WaitInService,
        (WaitInService, Good) => ReleaseLease,
        (WaitInService | ReleaseLease, Blocked) => Register,
        (ReleaseLease, Good) => Phase::Done,

        (Reboot | CheckHealth | Register | WaitInService, Failed) => Halted,
        // A person ran `resume` or `rejoin`, or the machine booted: look again.
        (Halted, Good) => CheckHealth,

        (phase, outcome) => return Err(NoSuchWay { phase, outcome }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN_SERVICE: Course = Course { out: false, stay_out: false, changed: false };
    const OUT: Course = Course { out: true, stay_out: false, changed: false };

    fn walk(course: Course, outcomes: &[(Phase, Outcome)]) -> Phase {
        let mut at = Phase::CheckGroup;
        for (phase, outcome) in outcomes {
            assert_eq!(at, *phase);
            at = next(*phase, *outcome, course).unwrap();
        }
        at
    }

    #[test]
    fn a_maintenance_without_trouble_meets_the_phases_in_order() {
        let mut at = Phase::CheckGroup;
        let mut met = vec![at];
        while at != Phase::Done {
            at = next(at, Outcome::Ok, OUT).unwrap();
            met.push(at);
        }
        let expected: Vec<_> =
            Phase::ALL.into_iter().filter(|p| !matches!(p, Phase::Drained | Phase::Halted)).collect();
        assert_eq!(met, expected);
    }

    #[test]
    fn before_out_every_bad_end_only_releases_the_lease() {
        for phase in [Phase::CheckGroup, Phase::AcquireLease, Phase::Deregister] {
            for outcome in [Outcome::Failed, Outcome::Cancelled] {
                assert_eq!(next(phase, outcome, IN_SERVICE), Ok(Phase::ReleaseLease));
            }
        }
        assert_eq!(next(Phase::Deregister, Outcome::Blocked, IN_SERVICE), Ok(Phase::CheckGroup));
    }

    #[test]
    fn once_out_every_way_to_the_end_registers_first() {
        for start in Phase::ALL.into_iter().filter(|p| *p >= Phase::Deregister && *p < Phase::Register) {
            let mut reachable = vec![start];
            let mut seen = Vec::new();
            while let Some(at) = reachable.pop() {
                if at == Phase::Register || seen.contains(&at) {
                    continue;
                }
                assert!(
                    !matches!(at, Phase::ReleaseLease | Phase::Done),
                    "{start} reaches {at} unregistered"
                );
                seen.push(at);
                for outcome in [Outcome::Ok, Outcome::Failed, Outcome::Blocked, Outcome::Cancelled] {
                    reachable.extend(next(at, outcome, OUT));
                }
            }
        }
    }

    #[test]
    fn a_failed_command_still_leads_through_the_local_health_check() {
        let ok = Outcome::Ok;
        let at = walk(
            OUT,
            &[
                (Phase::CheckGroup, ok),
                (Phase::AcquireLease, ok),
                (Phase::Deregister, ok),
                (Phase::Drain, ok),
                (Phase::RunCommand, Outcome::Failed),
            ],
        );
        assert_eq!(at, Phase::CheckHealth);
    }

    #[test]
    fn a_machine_that_may_have_changed_is_never_registered_unproved() {
        let changed = Course { changed: true, ..OUT };
        for phase in [Phase::Deregister, Phase::Drain] {
            for outcome in [Outcome::Failed, Outcome::Cancelled] {
                assert_eq!(next(phase, outcome, OUT), Ok(Phase::Register));
                assert_eq!(next(phase, outcome, changed), Ok(Phase::CheckHealth));
            }
        }
    }

    #[test]
    fn a_drain_by_hand_stays_out_until_it_is_told() {
        let by_hand = Course { stay_out: true, ..OUT };
        assert_eq!(next(Phase::Drain, Outcome::Ok, by_hand), Ok(Phase::Drained));
        assert_eq!(next(Phase::Drained, Outcome::Ok, by_hand), Ok(Phase::CheckHealth));
    }

    #[test]
    fn impossible_pairs_are_errors_that_name_both_sides() {
        let error = next(Phase::Done, Outcome::Blocked, OUT).unwrap_err();
        assert_eq!(error.to_string(), "no phase follows done when it is blocked");
    }

    #[test]
    fn the_name_is_the_word_on_disk() {
        for phase in Phase::ALL {
            assert_eq!(serde_json::to_string(&phase).unwrap(), format!("\"{}\"", phase.name()));
        }
    }
}
