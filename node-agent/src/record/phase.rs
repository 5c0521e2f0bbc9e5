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
    let leave_again = to(Deregister).forced();
    let give_up = |booted| to(facts.give_up_to(booted)).because(Some(Why::StoppedBeforeLeaving));
    let come_back = to(CheckHealth).because(facts.undone());
    Ok(match (phase, event) {
        // A node that is halted already keeps its reason.
        (Halted, Restarted { booted: true }) if facts.boots_too_often(phase) => stay,
        (_, Restarted { booted: true }) if facts.boots_too_often(phase) => {
            to(Halted).because(Some(Why::TooManyBoots))
        }

        // In service: only the lease has to be undone.
        (CheckGroup, Ended(Good)) if facts.forced => to(Deregister),
        (CheckGroup, Ended(Good)) => to(AcquireLease),
        (AcquireLease, Ended(Good)) => to(Validate),
        (Validate, Ended(Good)) => to(Deregister),
        (AcquireLease | Validate, Ended(Blocked)) => to(CheckGroup),
        (CheckGroup | AcquireLease | Validate, Ended(Failed | Cancelled)) => to(ReleaseLease),
        (CheckGroup | AcquireLease | Validate, Restarted { booted }) => give_up(booted),
        (CheckGroup | AcquireLease | Validate, GoesDown(_)) => give_up(false),

        // The node is in service until a call to leave is sent. Once it is, the step fails instead of blocking.
        (Deregister, Ended(Good)) => to(Drain),
        (Deregister, Ended(Blocked)) if !facts.sent && !facts.forced => to(Validate),
        (Deregister, Ended(Failed | Cancelled)) if !facts.sent => to(ReleaseLease),
        (Deregister, Ended(Failed | Cancelled)) if facts.going_down => to(Drain),
        (Deregister, Ended(Failed | Cancelled)) => to(facts.way_back()),
        (Deregister, Restarted { booted }) if !facts.sent => give_up(booted),
        (Deregister, Restarted { booted: true }) => come_back,

        // A shutdown ends here: the rest is for the next boot.
        (Drain, Ended(Good | Failed | Cancelled)) if facts.going_down => stay,
        (Drain, Ended(Good)) => to(facts.after_drain()),
        (Drain, Ended(Failed | Cancelled)) => to(facts.way_back()),
        (Drain, Restarted { booted: true }) if !facts.stay_out => come_back,
        // A new driver after a shutdown: a `drain` by hand continues, anything else comes back.
        (Deregister | Drain, Restarted { .. }) if facts.going_down && facts.stay_out => to(Drain),
        (Deregister | Drain, Restarted { .. }) if facts.going_down => come_back,
        (Deregister | Drain, Restarted { .. }) => stay,
        (Deregister | Drain, GoesDown(_)) => stay.forced(),

        // Something else has registered the node: it leaves again, or comes back if the machine has booted. A command
        // that has begun is not blocked by it.
        (Drained, Ended(Blocked)) => leave_again,
        (Drained | RunCommand | Reboot, GoesDown(_)) if facts.registered => leave_again,
        (RunCommand, Ended(Blocked)) if facts.has_begun_command() => return Err(NoSuchWay { phase, event }),
        (Drain | RunCommand | Reboot, Ended(Blocked)) if facts.boots == 0 => to(Deregister),
        (Drain | RunCommand | Reboot, Ended(Blocked)) => to(CheckHealth),

        // Out.
        (Drained, Ended(Good) | WantedBack) => to(CheckHealth),
        (RunCommand, Ended(Good)) if facts.reboot_wanted && facts.drain_again => to(Drain),
        (RunCommand, Ended(Good)) if facts.reboot_wanted => to(Reboot),
        (RunCommand, Ended(Good | Failed | Cancelled)) => to(CheckHealth),
        (RunCommand, Restarted { booted }) => match facts.command {
            Some(CommandState::NotRun) if booted => come_back,
            Some(CommandState::NotRun) if facts.late => to(CheckHealth).because(Some(Why::TooLate)),
            Some(CommandState::Running) if !facts.rerun || facts.late => come_back,
            _ => stay,
        },
        (Reboot, Ended(Failed)) if facts.reboot_accepted => to(Halted),
        (Reboot, Ended(Good | Failed | Cancelled) | Restarted { booted: true }) => to(CheckHealth),
        (Drained | Reboot, Restarted { .. }) | (Drained | RunCommand | Reboot, GoesDown(_)) => stay,

        // On the way back: the service has to pass the local checks, then the load balancer's.
        (CheckHealth, Ended(Good)) => to(Register),
        (Register, Ended(Good)) => to(WaitInService),
        (WaitInService, Ended(Good)) => to(ReleaseLease),
        (WaitInService | ReleaseLease, Ended(Blocked)) => to(Register),
        (ReleaseLease, Ended(Good)) => to(Done),
        (CheckHealth | Register | WaitInService, Ended(Failed)) => to(Halted),
        // The service has not been checked since the boot, and the load balancer may not have noticed the boot.
        (Register | WaitInService, Restarted { booted: true }) => to(CheckHealth),
        (ReleaseLease, Restarted { booted: true }) if facts.holds => to(CheckHealth),
        (ReleaseLease, Restarted { booted: false }) if facts.holds && facts.left => to(WaitInService),
        (CheckHealth | Register | WaitInService | ReleaseLease, Restarted { .. }) => stay,
        (WaitInService, GoesDown(_)) if !facts.left => to(ReleaseLease),
        (ReleaseLease, GoesDown(_)) if !facts.left => stay,
        (CheckHealth | Register | WaitInService | ReleaseLease, GoesDown(_)) => leave_again,

        (Done, Restarted { .. } | GoesDown(_)) | (Halted, Restarted { booted: false }) => stay,
        (Halted, Restarted { booted: true } | WantedBack) => to(CheckHealth),
        (Halted, GoesDown(_)) => leave_again,
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
