//! Drained by hand, or halted: the driver stays, keeps its lease, and waits for a request to continue. People
//! are told of a halt at once and every hour.

use crate::maintenance::context::{DriveError, Driver, End};
use crate::maintenance::inbox::TAKE_REQUESTS_EVERY;
use crate::maintenance::progress::rounded;
use crate::record::phase::{Event, Outcome, Phase};
use std::time::Duration;
use tokio::time::Instant;

/// How often people are notified that a node is halted.
const NOTIFY_EVERY: Duration = Duration::from_secs(3600);

/// What ended the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stayed {
    /// A client wants the node back.
    WantedBack,
    /// The time limit of `drain` has passed.
    TimeUp,
    /// Somebody has registered the drained node: it has to leave again.
    Registered,
    /// The process should end. The record stays.
    Leave,
}

impl Driver {
    /// Drives, and waits where only a person can continue, until the operation is over or the process has to end.
    ///
    /// # Errors
    /// [`DriveError`] when the record cannot be kept.
    pub async fn drive_and_stay(&mut self) -> Result<End, DriveError> {
        loop {
            let end = match self.operation.phase {
                Phase::Drained => End::Drained,
                _ => self.drive().await?,
            };
            if !matches!(end, End::Drained | End::Halted(_)) {
                return Ok(end);
            }
            let event = match self.stay().await? {
                Stayed::WantedBack => Event::WantedBack,
                Stayed::TimeUp => Event::Ended(Outcome::Ok),
                Stayed::Registered => Event::Ended(Outcome::Blocked),
                Stayed::Leave => return Ok(end),
            };
            let now = self.now()?;
            self.turn_back = None;
            self.operation.apply(event, &now)?;
        }
    }

    /// Whether the time limit of `drain` has passed.
    fn is_overdue(&self) -> Result<bool, DriveError> {
        Ok(self.time_left()?.is_some_and(|left| left.is_zero()))
    }

    async fn stay(&mut self) -> Result<Stayed, DriveError> {
        let mut told = Instant::now();
        let halted = self.operation.phase == Phase::Halted;
        if self.turn_back.is_some() && !halted {
            // It was requested at the very end of the drain.
            return Ok(Stayed::WantedBack);
        }
        tracing::info!("{}: waiting for a request to continue", self.operation.phase);
        self.progress.end();
        loop {
            if self.take_requests()? {
                return Ok(Stayed::WantedBack);
            }
            if self.is_overdue()? {
                let limit = self.limit().map(rounded).unwrap_or_default();
                tracing::warn!("drained for {limit} without `node-agent rejoin`: returning to service");
                return Ok(Stayed::TimeUp);
            }
            self.keep_lease().await?;
            if !halted && self.has_to_leave_again().await? {
                return Ok(Stayed::Registered);
            }
            if halted && told.elapsed() >= NOTIFY_EVERY {
                self.notify("halted", &self.operation.why_halted()).await;
                told = Instant::now();
            }
            self.doze(TAKE_REQUESTS_EVERY).await;
            if self.stop.is_cancelled() {
                return Ok(Stayed::Leave);
            }
        }
    }
}
