//! A permission that is missing once the node has begun: it may come back, so the calls are repeated. People are told after a
//! minute, and then every hour; a stop ends the process, and the record stays.

use crate::aws::load_balancer::CallError;
use crate::maintenance::context::{Denied, DriveError, Driver};
use std::time::Duration;
use tokio::time::Instant;

/// A policy that was just changed takes some seconds to reach every server of IAM.
const TELL_AFTER: Duration = Duration::from_secs(60);
/// How often people are told again.
const TELL_EVERY: Duration = Duration::from_secs(3600);

impl Driver {
    /// Notes that a call has failed. Tells people when calls have been denied for long.
    ///
    /// # Errors
    /// [`DriveError::Denied`] when a stop was requested: the call may stay denied for ever.
    pub(crate) async fn failed_call(&mut self, error: &CallError) -> Result<(), DriveError> {
        if !error.is_denied() {
            self.denied = None;
            return Ok(());
        }
        let mut denied = self.denied.unwrap_or(Denied { since: Instant::now(), told: None });
        let due = denied.told.map_or(denied.since + TELL_AFTER, |told| told + TELL_EVERY);
        if due <= Instant::now() {
            denied.told = Some(Instant::now());
            self.notify("denied", &format!("{}: {error}", self.operation.phase)).await;
        }
        self.denied = Some(denied);
        if self.stop.is_cancelled() && !self.operation.phase.can_be_cancelled() {
            return Err(DriveError::Denied(error.clone()));
        }
        Ok(())
    }
}
