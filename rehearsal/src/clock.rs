//! The scenario's clock: seconds since the scenario began.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// When a scenario began, on the monotonic clock and on the wall clock that the agents record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began: Instant,
    began_utc: Timestamp,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), began_utc: Timestamp::now() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Seconds since the scenario began.
    pub(crate) fn now(&self) -> f64 {
        self.at(Instant::now())
    }

    /// `moment` in seconds since the scenario began; 0 if it was earlier.
    pub(crate) fn at(&self, moment: Instant) -> f64 {
        moment.saturating_duration_since(self.began).as_secs_f64()
    }

    /// A time from an agent's record in seconds since the scenario began; negative if it was earlier.
    pub(crate) fn at_utc(&self, moment: Timestamp) -> f64 {
        moment.duration_since(self.began_utc).as_secs_f64()
    }
}
