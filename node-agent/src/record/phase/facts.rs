//! What can happen to a maintenance, and what its way depends on besides.

use super::words::{Phase, Stage};
use crate::machine::systemd::GoingDown;
use crate::record::command::CommandState;
use serde::{Deserialize, Serialize};
use std::fmt;

/// More boots than this in one maintenance: something reboots the machine again and again.
pub const MOST_BOOTS: u32 = 3;

/// How a phase ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// What the phase is for holds now.
    Ok,
    /// It does not, and trying longer is no use.
    Failed,
    /// Not now: an earlier phase has to be done again.
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

/// What happened to a maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// Its phase ended.
    Ended(Outcome),
    /// A new driver goes on from the record.
    Restarted {
        /// The machine has booted since the record was written.
        booted: bool,
    },
    /// The machine goes down, and not because the maintenance asked for it.
    GoesDown(GoingDown),
    /// A person wants the node back: `rejoin`, or `resume` on a halted node.
    WantedBack,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Ended(outcome) => write!(f, "it is {outcome}"),
            Event::Restarted { booted: false } => f.write_str("the driver is started again"),
            Event::Restarted { booted: true } => f.write_str("the machine has booted"),
            Event::GoesDown(GoingDown::Reboot) => f.write_str("the machine is rebooted"),
            Event::GoesDown(GoingDown::PowerOff) => f.write_str("the machine is switched off"),
            Event::WantedBack => f.write_str("somebody wants the node back"),
        }
    }
}

/// Why a maintenance does not go as asked, when no phase failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// Its driver ended while the node was in service.
    StoppedBeforeLeaving,
    /// The machine went down before the command was begun.
    BootedBeforeCommand,
    /// The command was running when its driver, or the machine, went down.
    CommandCutOff,
    /// A `drain` by hand had not come to its end.
    BootedBeforeDrained,
    /// The maintenance window was over before the command was begun.
    TooLate,
    /// Something reboots the machine again and again.
    TooManyBoots,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::StoppedBeforeLeaving => f.write_str("stopped before the node left service"),
            Why::BootedBeforeCommand => f.write_str("the machine went down before the command was run"),
            Why::CommandCutOff => f.write_str(
                "the command was running when node-agent was killed; it is not run again (--rerun allows that)",
            ),
            Why::BootedBeforeDrained => f.write_str("the machine went down before the node had drained"),
            Why::TooLate => f.write_str("the time given by --not-after passed before the command was run"),
            Why::TooManyBoots => write!(
                f,
                "the machine booted more than {MOST_BOOTS} times in one maintenance; find out what reboots it"
            ),
        }
    }
}

/// What the way through the phases depends on, besides what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Facts {
    /// How far the command is; `None`: none was asked for.
    pub command: Option<CommandState>,
    /// A command that was cut off is run again.
    pub rerun: bool,
    /// A reboot was asked for, by the request or by the command.
    pub reboot_wanted: bool,
    /// The machine has accepted a request to reboot.
    pub reboot_accepted: bool,
    /// The operation is a `drain`: it stays out until `rejoin`.
    pub stay_out: bool,
    /// The node leaves whatever the other nodes do.
    pub forced: bool,
    /// A request to leave was sent: acknowledged, or on record without an answer.
    pub sent: bool,
    /// The node has entered `deregister`, and may have left.
    pub left: bool,
    /// A claim to a slot is on record.
    pub holds: bool,
    /// How many boots this operation has seen, this one included.
    pub boots: u32,
    /// The machine goes down, or went down, by somebody else's will.
    pub going_down: bool,
    /// The guard of a shutdown has found the node registered although it is out.
    pub registered: bool,
    /// The maintenance window is over.
    pub late: bool,
}

impl Facts {
    /// The service may not be what it was: it has to prove itself before it is registered.
    fn machine_may_have_changed(&self) -> bool {
        self.boots > 0 || self.has_begun_command()
    }

    pub(super) fn has_begun_command(&self) -> bool {
        !matches!(self.command, None | Some(CommandState::NotRun))
    }

    /// From a maintenance that gives up before the node has left. Nobody has looked at the service since a boot, the load
    /// balancer may not have noticed it, and a slot is given back only by a node that is in service.
    pub(super) fn give_up(&self, booted: bool) -> Phase {
        if booted && self.holds { Phase::CheckHealth } else { Phase::ReleaseLease }
    }

    /// What was asked for and will not be done now.
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

    /// Whether one boot more is one too many in this phase. Where nothing is done to the machine it does not matter.
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
