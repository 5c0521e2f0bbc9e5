//! The events of a maintenance, and the facts that its next phase depends on.

use super::words::{Phase, Stage};
use crate::machine::systemd::GoingDown;
use crate::record::command::CommandState;
use serde::{Deserialize, Serialize};
use std::fmt;

/// After more boots than this in one maintenance, a person has to find out what reboots the machine.
pub const MOST_BOOTS: u32 = 3;

/// How a phase ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The phase has done its work.
    Ok,
    /// The phase cannot do its work, and more time does not help.
    Failed,
    /// Not now: an earlier phase has to run again.
    Blocked,
    /// A stop was requested.
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

/// An event in a maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// Its phase ended.
    Ended(Outcome),
    /// A new driver continues from the record.
    Restarted {
        /// The machine has booted since the record was written.
        booted: bool,
    },
    /// The machine goes down, but not at the request of this maintenance.
    GoesDown(GoingDown),
    /// A person wants the node back: `rejoin`, or `resume` on a halted node.
    WantedBack,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Ended(outcome) => write!(f, "it is {outcome}"),
            Event::Restarted { booted: false } => f.write_str("the driver restarts"),
            Event::Restarted { booted: true } => f.write_str("the machine has booted"),
            Event::GoesDown(GoingDown::Reboot) => f.write_str("the machine is rebooted"),
            Event::GoesDown(GoingDown::PowerOff) => f.write_str("the machine is switched off"),
            Event::WantedBack => f.write_str("a person wants the node back"),
        }
    }
}

/// Why a maintenance does not succeed although no phase failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// Its driver ended while the node was in service.
    StoppedBeforeLeaving,
    /// The machine went down before the command was started.
    BootedBeforeCommand,
    /// The command was running when its driver ended, or when the machine went down.
    CommandCutOff,
    /// The machine went down before a `drain` by hand was complete.
    BootedBeforeDrained,
    /// The maintenance window ended before the command was started.
    TooLate,
    /// The machine booted more than [`MOST_BOOTS`] times.
    TooManyBoots,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::StoppedBeforeLeaving => f.write_str("stopped before the node left service"),
            Why::BootedBeforeCommand => f.write_str("the machine went down before the command was started"),
            Why::CommandCutOff => f.write_str(
                "the command was running when node-agent was killed; it is not run again (--rerun permits that)",
            ),
            Why::BootedBeforeDrained => f.write_str("the machine went down before the node had drained"),
            Why::TooLate => f.write_str("the time given by --not-after passed before the command was started"),
            Why::TooManyBoots => write!(
                f,
                "the machine booted more than {MOST_BOOTS} times in one maintenance; find out what reboots it"
            ),
        }
    }
}

/// The facts that the next phase depends on, besides the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Facts {
    /// The progress of the command; `None`: no command was requested.
    pub command: Option<CommandState>,
    /// A command that was interrupted is run again.
    pub rerun: bool,
    /// A reboot was requested, by the client or by the command.
    pub reboot_wanted: bool,
    /// The machine has accepted a request to reboot.
    pub reboot_accepted: bool,
    /// The node was deregistered again while its command was running, and has not drained since.
    pub drain_again: bool,
    /// The operation is a `drain`: it stays out until `rejoin`.
    pub stay_out: bool,
    /// The node leaves without regard to other nodes.
    pub forced: bool,
    /// A call to leave was sent: acknowledged, or on record without an answer.
    pub sent: bool,
    /// The node has entered `deregister`, and may have left.
    pub left: bool,
    /// A claim to a slot is on record.
    pub holds: bool,
    /// How many boots happened during this operation, including this one.
    pub boots: u32,
    /// The machine goes down, or went down, but not at the request of this maintenance.
    pub going_down: bool,
    /// The shutdown guard found the node registered although it is out.
    pub registered: bool,
    /// The maintenance window is over.
    pub late: bool,
}

impl Facts {
    /// The machine may have changed, so the service has to pass its checks before it is registered.
    fn machine_may_have_changed(&self) -> bool {
        self.boots > 0 || self.has_begun_command()
    }

    pub(super) fn has_begun_command(&self) -> bool {
        !matches!(self.command, None | Some(CommandState::NotRun))
    }

    /// The next phase of a maintenance that gives up before the node has left. After a boot the service has not been checked
    /// and the load balancer may not have noticed; a node releases its slot only when it is in service.
    pub(super) fn give_up_to(&self, booted: bool) -> Phase {
        if booted && self.holds { Phase::CheckHealth } else { Phase::ReleaseLease }
    }

    /// Why the requested work is not done, if any of it is left.
    pub(super) fn undone(&self) -> Option<Why> {
        match self.command {
            Some(CommandState::NotRun) => Some(Why::BootedBeforeCommand),
            Some(CommandState::Running) => Some(Why::CommandCutOff),
            _ => self.stay_out.then_some(Why::BootedBeforeDrained),
        }
    }

    pub(super) fn after_drain(&self) -> Phase {
        match self.command {
            _ if self.stay_out => Phase::Drained,
            Some(CommandState::NotRun | CommandState::Running) => Phase::RunCommand,
            _ if self.reboot_wanted => Phase::Reboot,
            _ => Phase::CheckHealth,
        }
    }

    pub(super) fn way_back(&self) -> Phase {
        if self.machine_may_have_changed() { Phase::CheckHealth } else { Phase::Register }
    }

    /// Whether the boots are too many in this phase. They do not count where the machine is not changed.
    pub(super) fn boots_too_often(&self, phase: Phase) -> bool {
        let counts = match phase.stage() {
            Stage::InService => false,
            Stage::Leaving => self.sent,
            Stage::Out => phase != Phase::Drained,
            Stage::Returning => phase != Phase::ReleaseLease,
            Stage::Over => phase == Phase::Halted,
        };
        counts && self.boots > MOST_BOOTS
    }
}
