//! How long each phase may take.

use crate::maintenance::context::{DriveError, Driver};
use crate::record::phase::{Phase, Stage};
use std::time::Duration;

/// The shutdown guard's limit. systemd forces the machine down after 30 minutes, and other services need time to stop.
pub(crate) const SHUTDOWN_GUARD: Duration = Duration::from_secs(20 * 60);
/// What is left of it after the drain, for the calls and for a look that has to be repeated.
const SPARE: Duration = Duration::from_secs(60);

impl Driver {
    /// How long the current phase may take; `None`: as long as it needs.
    pub(crate) fn limit(&self) -> Option<Duration> {
        let settings = &self.operation.request.settings;
        let delay = self.operation.deregistration_delay();
        match self.operation.phase {
            Phase::CheckGroup | Phase::AcquireLease | Phase::Validate => Some(self.time_to_leave()),
            Phase::Deregister => Some(settings.drain_margin.0),
            Phase::Drain => Some(delay.max(settings.drain_floor.0) + settings.drain_margin.0),
            Phase::Drained => Some(settings.drained_limit.0),
            Phase::RunCommand => Some(settings.command_limit.0),
            Phase::Reboot => Some(settings.reboot_limit.0),
            Phase::CheckHealth => Some(settings.health_limit.0),
            // A target of type `ip` can be registered again only when it has drained.
            Phase::Register => Some(settings.register_limit.0 + delay),
            Phase::WaitInService => {
                let slow = self.operation.slow_start();
                Some(settings.in_service_limit.0 + slow)
            }
            Phase::ReleaseLease | Phase::Done | Phase::Halted => None,
        }
    }

    /// How long the node may stay in service before it gives up.
    fn time_to_leave(&self) -> Duration {
        let settings = &self.operation.request.settings;
        if self.operation.going_down.is_none() || self.operation.forced {
            return settings.lease_wait.0;
        }
        let drain = self.operation.deregistration_delay().max(settings.drain_floor.0);
        settings.lease_wait.0.min(SHUTDOWN_GUARD.saturating_sub(SPARE).saturating_sub(drain))
    }

    /// What is left of this limit. Before the node leaves, the limit counts from the start of the operation. A node that is
    /// drained, and had to leave again, gets no more time for it.
    pub(crate) fn time_left(&self) -> Result<Option<Duration>, DriveError> {
        let operation = &self.operation;
        let began = match operation.phase.stage() {
            Stage::InService => &operation.began,
            _ if operation.phase == Phase::Drained => {
                operation.drained.as_ref().unwrap_or(&operation.phase_began)
            }
            _ => &operation.phase_began,
        };
        let passed = began.at_least_until(&self.now()?);
        Ok(self.limit().map(|limit| limit.saturating_sub(passed)))
    }
}
