//! Calls that go on failing once the node has begun: they are repeated, because the permission, the network or the API may
//! come back. People are told, and then again every hour.

use crate::aws::load_balancer::CallError;
use crate::maintenance::context::{DriveError, Driver, Failing};
use std::time::Duration;
use tokio::time::Instant;

/// A policy that was just changed takes some seconds to reach every server of IAM.
const DENIED_FOR: Duration = Duration::from_secs(60);
/// Other failures pass by themselves, and most phases have a limit.
const FAILING_FOR: Duration = Duration::from_secs(600);
/// How often people are told again.
const TELL_EVERY: Duration = Duration::from_secs(3600);

impl Driver {
    /// Notes that a call has failed. Tells people when calls have been denied for a minute, or when nothing has been answered
    /// for ten minutes to a node that has left service or still has its lease.
    ///
    /// # Errors
    /// [`DriveError::Denied`] when a stop was requested: the call may stay denied for ever.
    pub(crate) async fn failed_call(&mut self, error: &CallError) -> Result<(), DriveError> {
        let now = Instant::now();
        let denied = error.is_denied();
        let before = self.failing.filter(|failing| failing.denied == denied);
        let mut failing = before.unwrap_or(Failing { denied, since: now, told: None });
        let (event, after) = if denied { ("denied", DENIED_FOR) } else { ("stuck", FAILING_FOR) };
        let due = failing.told.map_or(failing.since + after, |told| told + TELL_EVERY);
        if due <= now && (denied || self.operation.left.is_some()) {
            failing.told = Some(now);
            self.notify(event, &format!("{}: {error}", self.operation.phase)).await;
        }
        self.failing = Some(failing);
        if denied && self.stop.is_cancelled() && !self.operation.phase.can_be_cancelled() {
            return Err(DriveError::Denied(error.clone()));
        }
        Ok(())
    }

    /// Whether calls are denied now.
    pub(crate) fn is_denied(&self) -> bool {
        self.failing.is_some_and(|failing| failing.denied)
    }
}
