//! How this node leaves its target groups and returns: by itself, or by its Auto Scaling group.

pub(crate) mod standby;
mod targets;

pub(crate) use targets::register_again;

use crate::maintenance::context::{Driver, Step};
use crate::settings::AutoScaling;

/// The way out of service and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// DeregisterTargets and RegisterTargets.
    Targets,
    /// EnterStandby and ExitStandby: the group deregisters and registers the node. The agent does not, or they would race.
    Standby,
}

impl Way {
    /// The way of this maintenance. After a lost record the setting decides.
    pub(crate) fn of(driver: &Driver) -> Way {
        let chosen = driver.operation.request.settings.asg == AutoScaling::Standby;
        if chosen || driver.operation.standby.is_some() { Way::Standby } else { Way::Targets }
    }

    /// Takes the node out of service. Returns once it is acknowledged in, or visible in, every group.
    pub(crate) async fn leave(self, driver: &mut Driver) -> Step {
        match self {
            Way::Standby if standby::leave(driver).await? => Ok(()),
            // No Auto Scaling group moves this node, or there is no time for it.
            Way::Standby | Way::Targets => targets::deregister(driver).await,
        }
    }

    /// Brings the node back. Returns once it is registered.
    pub(crate) async fn come_back(self, driver: &mut Driver) -> Step {
        match self {
            Way::Standby if standby::come_back(driver).await? => Ok(()),
            Way::Standby | Way::Targets => targets::register(driver).await,
        }
    }
}
