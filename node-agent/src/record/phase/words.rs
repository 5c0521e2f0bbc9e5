//! The phases by name, and the stages that they make up.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a maintenance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The node is a healthy member of its target groups, and they can spare it.
    CheckGroup,
    /// A lease on every target group, in the order of their ARNs.
    AcquireLease,
    /// Everything that decides is read once more, as close to leaving as possible.
    Validate,
    /// DeregisterTargets with the exact (id, port) pairs, then one more look at the groups.
    Deregister,
    /// Wait until no request can reach the node.
    Drain,
    /// Out by hand: the lease is held until `rejoin`, or until the time is up.
    Drained,
    /// The patch, or any other command.
    RunCommand,
    /// The reboot, proved by a new boot id.
    Reboot,
    /// The service answers locally, several times in a row.
    CheckHealth,
    /// RegisterTargets with the pairs on record.
    Register,
    /// Wait until the load balancer finds the node healthy.
    WaitInService,
    /// Give the lease back.
    ReleaseLease,
    /// The end; the verdict says how it went.
    Done,
    /// Stopped with the lease kept and the reason on record: a person is needed.
    Halted,
}

/// What a phase means for the requests of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The node serves, and nothing was sent that could change that.
    InService,
    /// Requests may still reach the node.
    Leaving,
    /// No request reaches the node.
    Out,
    /// The node is on its way into service, and may be there already.
    Returning,
    /// Nothing is done any more, until somebody asks for it.
    Over,
}

impl Phase {
    /// Every phase, in the order in which a maintenance meets them.
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

    /// The word for this phase, as in the record on disk.
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

    /// Whether a request to stop still turns the maintenance back, or stops its command. Later phases finish first:
    /// from there the only way into service leads forward.
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
