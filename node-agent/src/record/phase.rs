//! The maintenance as a state machine: which phase follows which, and why.
//!
//! [`next`] is the only transition function: the end of a phase, restarts, boots, shutdowns and requests to come back are
//! rows of one table. The names of the phases are used everywhere: for the file of a step, in the log, in the record, in the
//! status output and in the diagram in ARCHITECTURE.md.

mod facts;
mod words;

use super::command::CommandState;
pub use facts::{Event, Facts, MOST_BOOTS, Outcome, Why};
pub use words::{Phase, Stage};

/// The phase that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// The phase to run next, or again.
    pub phase: Phase,
    /// Why the maintenance no longer succeeds, if this event prevents it.
    pub why: Option<Why>,
    /// From here on the node leaves without regard to other nodes.
    pub forced: bool,
}

/// An event that is impossible in this phase. Only a damaged record leads here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no phase follows {phase} when {event}")]
pub struct NoSuchWay {
    /// The phase on record.
    pub phase: Phase,
    /// What happened.
    pub event: Event,
}

impl Next {
    fn because(self, why: Option<Why>) -> Next {
        Next { why, ..self }
    }

    fn forced(self) -> Next {
        Next { forced: true, ..self }
    }
}

/// The phase that follows an event in a phase.
///
/// # Errors
/// [`NoSuchWay`] for an event that is impossible in this phase.
pub fn next(phase: Phase, event: Event, facts: &Facts) -> Result<Next, NoSuchWay> {
    use Event::{Ended, GoesDown, Restarted, WantedBack};
    use Outcome::{Blocked, Cancelled, Failed, Ok as Good};
    use Phase::*;
    let to = |phase| Next { phase, why: None, forced: false };
    let stay = to(phase);
    Ok(match (phase, event) {
        (_, Restarted { booted: true }) if facts.boots_too_often(phase) => {
            to(Halted).because((phase != Halted).then_some(Why::TooManyBoots))
        }

        // In service: only the lease has to be undone.
        (CheckGroup, Ended(Good)) if facts.forced => to(Deregister),
        (CheckGroup, Ended(Good)) => to(AcquireLease),
        (AcquireLease, Ended(Good)) => to(Validate),
        (Validate, Ended(Good)) => to(Deregister),
        (AcquireLease | Validate, Ended(Blocked)) => to(CheckGroup),
        (CheckGroup | AcquireLease | Validate, Ended(Failed | Cancelled)) => to(ReleaseLease),
        (CheckGroup | AcquireLease | Validate, Restarted { booted }) => {
            to(facts.give_up(booted)).because(Some(Why::StoppedBeforeLeaving))
        }
        (CheckGroup | AcquireLease | Validate, GoesDown(_)) => {
            to(facts.give_up(false)).because(Some(Why::StoppedBeforeLeaving))
        }

        // Leaving. The node is in service until a call to leave is sent.
        (Deregister, Ended(Good)) => to(Drain),
        (Deregister, Ended(Failed | Cancelled)) if !facts.sent => to(ReleaseLease),
        (Deregister, Ended(Blocked)) if !facts.sent && !facts.forced => to(Validate),
        (Deregister, Ended(Failed | Cancelled)) if facts.going_down => to(Drain),
        (Deregister, Restarted { booted }) if !facts.sent => {
            to(facts.give_up(booted)).because(Some(Why::StoppedBeforeLeaving))
        }
        (Deregister, Restarted { booted: true }) => to(CheckHealth).because(facts.undone()),
        (Drain, Ended(Good | Failed | Cancelled)) if facts.going_down => stay,
        (Drain, Ended(Good)) => to(facts.after_drain()),
        (Deregister | Drain, Ended(Failed | Cancelled)) => to(facts.way_back()),
        (Drain, Restarted { booted: true }) if !facts.stay_out => to(CheckHealth).because(facts.undone()),
        // The shutdown was cancelled, or is over.
        (Deregister | Drain, Restarted { .. }) if facts.going_down && facts.stay_out => to(Drain),
        (Deregister | Drain, Restarted { .. }) if facts.going_down => to(CheckHealth).because(facts.undone()),
        (Deregister | Drain, Restarted { .. }) => stay,
        (Deregister | Drain, GoesDown(_)) => stay.forced(),

        // Out. If something else has registered the node, it leaves again first, but not after a boot.
        (Drained, Ended(Blocked)) => to(Deregister).forced(),
        (RunCommand, Ended(Blocked)) if facts.has_begun_command() => return Err(NoSuchWay { phase, event }),
        (Drain | RunCommand | Reboot, Ended(Blocked)) if facts.boots == 0 => to(Deregister),
        (Drain | RunCommand | Reboot, Ended(Blocked)) => to(CheckHealth),
        (Drained | RunCommand | Reboot, GoesDown(_)) if facts.registered => to(Deregister).forced(),
        (Drained | RunCommand | Reboot, GoesDown(_)) => stay,
        (Drained, Ended(Good) | WantedBack) => to(CheckHealth),
        (Drained, Restarted { .. }) => stay,
        (RunCommand, Ended(Good)) if facts.reboot_wanted => to(Reboot),
        (RunCommand, Ended(Good | Failed | Cancelled)) => to(CheckHealth),
        (RunCommand, Restarted { booted }) => match facts.command {
            Some(CommandState::NotRun) if booted => to(CheckHealth).because(facts.undone()),
            Some(CommandState::NotRun) if facts.late => to(CheckHealth).because(Some(Why::TooLate)),
            Some(CommandState::Running) if !facts.rerun || facts.late => {
                to(CheckHealth).because(facts.undone())
            }
            _ => stay,
        },
        (Reboot, Ended(Failed)) if facts.reboot_accepted => to(Halted),
        (Reboot, Ended(Good | Failed | Cancelled)) => to(CheckHealth),
        (Reboot, Restarted { booted: true }) => to(CheckHealth),
        (Reboot, Restarted { booted: false }) => stay,

        // On the way back: the service has to pass the local checks, then the load balancer's.
        (CheckHealth, Ended(Good)) => to(Register),
        (Register, Ended(Good)) => to(WaitInService),
        (WaitInService, Ended(Good)) => to(ReleaseLease),
        (WaitInService | ReleaseLease, Ended(Blocked)) => to(Register),
        (ReleaseLease, Ended(Good)) => to(Done),
        (CheckHealth | Register | WaitInService, Ended(Failed)) => to(Halted),
        (Register, Restarted { booted: true }) => to(CheckHealth),
        // The service has not been checked since the boot, and the load balancer may not have noticed the boot.
        (WaitInService, Restarted { booted: true }) => to(CheckHealth),
        (ReleaseLease, Restarted { booted: true }) if facts.holds => to(CheckHealth),
        (ReleaseLease, Restarted { booted: false }) if facts.holds && facts.left => to(WaitInService),
        (CheckHealth | Register | WaitInService | ReleaseLease, Restarted { .. }) => stay,
        (WaitInService, GoesDown(_)) if !facts.left => to(ReleaseLease),
        (ReleaseLease, GoesDown(_)) if !facts.left => stay,
        (CheckHealth | Register | WaitInService | ReleaseLease, GoesDown(_)) => to(Deregister).forced(),

        (Done, Restarted { .. } | GoesDown(_)) => stay,
        (Halted, Restarted { booted: true } | WantedBack) => to(CheckHealth),
        (Halted, Restarted { booted: false }) => stay,
        (Halted, GoesDown(_)) => to(Deregister).forced(),
        // A running step turns back by itself where it can.
        (_, WantedBack) => stay,

        (phase, event) => return Err(NoSuchWay { phase, event }),
    })
}

#[cfg(test)]
mod diagram;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk;
