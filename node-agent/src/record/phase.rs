//! The maintenance as a state machine: which phase follows which, and why.
//!
//! [`next`] is the whole of it: phases that end, restarts, boots, shutdowns and people who want the node back are rows
//! of one table. The words here are the words everywhere: the step's file, the log field, the record on disk, the
//! status output and the diagram in ARCHITECTURE.md.

mod facts;
mod words;

use super::command::CommandState;
pub use facts::{Event, Facts, MOST_BOOTS, Outcome, Why};
pub use words::{Phase, Stage};

/// The phase that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// To do next, or again.
    pub phase: Phase,
    /// What goes wrong with the maintenance by this, if anything does.
    pub why: Option<Why>,
    /// From here on the node leaves whatever the other nodes do.
    pub forced: bool,
}

/// An event that the phase cannot meet; only a damaged record leads here.
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

/// The phase that follows when something happens in a phase.
///
/// # Errors
/// [`NoSuchWay`] for an event that the phase cannot meet.
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

        // In service: there is nothing to undo but the lease.
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

        // Leaving. As long as no request to leave was sent, the node is in service.
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
        // The shutdown was called off, or is over.
        (Deregister | Drain, Restarted { .. }) if facts.going_down && facts.stay_out => to(Drain),
        (Deregister | Drain, Restarted { .. }) if facts.going_down => to(CheckHealth).because(facts.undone()),
        (Deregister | Drain, Restarted { .. }) => stay,
        (Deregister | Drain, GoesDown(_)) => stay.forced(),

        // Out. Somebody may have registered the node: out again before anything breaks, but not after a boot.
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

        // On the way back: the service has to prove itself, then the load balancer has to find it healthy.
        (CheckHealth, Ended(Good)) => to(Register),
        (Register, Ended(Good)) => to(WaitInService),
        (WaitInService, Ended(Good)) => to(ReleaseLease),
        (WaitInService | ReleaseLease, Ended(Blocked)) => to(Register),
        (ReleaseLease, Ended(Good)) => to(Done),
        (CheckHealth | Register | WaitInService, Ended(Failed)) => to(Halted),
        (Register, Restarted { booted: true }) => to(CheckHealth),
        // Nobody has looked at the service since the boot, and the load balancer may not have noticed it.
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
        // A step at work turns back by itself, if there is anything to turn back from.
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
