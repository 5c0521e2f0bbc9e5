//! The phases, their names and their stages.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A phase of a maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Check that the node is healthy in its target groups and that they can spare it.
    CheckGroup,
    /// Acquire a lease on every target group, in the order of their ARNs.
    AcquireLease,
    /// Read everything that decides once more, right before leaving.
    Validate,
    /// DeregisterTargets with the exact (id, port) pairs, then read the groups once more.
    Deregister,
    /// Wait until no request can reach the node.
    Drain,
    /// Drained by hand: hold the lease until `rejoin`, or until the time limit.
    Drained,
    /// Run the command.
    RunCommand,
    /// Reboot; a new boot id proves it.
    Reboot,
    /// Wait until the service passes several local checks in a row.
    CheckHealth,
    /// RegisterTargets with the pairs on record.
    Register,
    /// Wait until the load balancer reports the node healthy.
    WaitInService,
    /// Release the lease.
    ReleaseLease,
    /// Finished; see the verdict.
    Done,
    /// Stopped, with the lease held and the reason on record: a person is needed.
    Halted,
}

/// What a phase means for the requests of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The node is in service, and no call was sent that could change that.
    InService,
    /// Requests may still reach the node.
    Leaving,
    /// No request reaches the node.
    Out,
    /// The node is on its way into service, and may be there already.
    Returning,
    /// Finished, or stopped until a person acts.
    Over,
}

impl Phase {
    /// Every phase, in the order of a maintenance.
    pub const ALL: [Phase; 14] = [
        Phase::CheckGroup,
        Phase::AcquireLease,
        Phase::Validate,
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

    /// The name of this phase, as in the record on disk.
    pub fn name(self) -> &'static str {
        match self {
            Phase::CheckGroup => "check_group",
            Phase::AcquireLease => "acquire_lease",
            Phase::Validate => "validate",
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

    /// The stage that this phase belongs to.
    pub fn stage(self) -> Stage {
        match self {
            Phase::CheckGroup | Phase::AcquireLease | Phase::Validate => Stage::InService,
            Phase::Deregister | Phase::Drain => Stage::Leaving,
            Phase::Drained | Phase::RunCommand | Phase::Reboot => Stage::Out,
            Phase::CheckHealth | Phase::Register | Phase::WaitInService | Phase::ReleaseLease => {
                Stage::Returning
            }
            Phase::Done | Phase::Halted => Stage::Over,
        }
    }

    /// Whether a request to stop still turns the maintenance back, or stops its command. Later phases finish: from there the
    /// only way into service is forward.
    pub fn can_be_cancelled(self) -> bool {
        matches!(
            self,
            Phase::CheckGroup
                | Phase::AcquireLease
                | Phase::Validate
                | Phase::Deregister
                | Phase::Drain
                | Phase::Drained
                | Phase::RunCommand
        )
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
