//! How this node leaves its target groups and comes back: by itself, or moved by its Auto Scaling group.

pub(crate) mod standby;
mod targets;

use crate::maintenance::context::{Driver, Step};
use crate::settings::AutoScaling;

/// The way out of service and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// DeregisterTargets and RegisterTargets.
    Targets,
    /// EnterStandby and ExitStandby: the group then deregisters and registers; both of us doing it would race.
    Standby,
}

impl Way {
    /// The way that this maintenance takes. A record that was lost may not know of a standby: the setting does.
    pub(crate) fn of(driver: &Driver) -> Way {
        let chosen = driver.operation.request.settings.asg == AutoScaling::Standby;
        if chosen || driver.operation.standby.is_some() { Way::Standby } else { Way::Targets }
    }

    /// Takes the node out: returns once every group has acknowledged it, or shows it.
    pub(crate) async fn leave(self, driver: &mut Driver) -> Step {
        match self {
            Way::Standby if standby::leave(driver).await? => Ok(()),
            // There is no time for the group, or none that moves this node.
            Way::Standby | Way::Targets => targets::deregister(driver).await,
        }
    }

    /// Brings the node back: returns once it is registered.
    pub(crate) async fn come_back(self, driver: &mut Driver) -> Step {
        match self {
            Way::Standby if standby::come_back(driver).await? => Ok(()),
            Way::Standby | Way::Targets => targets::register(driver).await,
        }
    }
}
