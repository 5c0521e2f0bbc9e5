//! The scenario's clock: seconds since it began, for everything that is measured.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// When a scenario began, on the clock that measures and on the clock that the agents write down.
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

    /// When `moment` was, in seconds since the scenario began; 0 when it was earlier.
    pub(crate) fn at(&self, moment: Instant) -> f64 {
        moment.saturating_duration_since(self.began).as_secs_f64()
    }

    /// The same for a time that an agent has written down; negative when it was earlier.
    pub(crate) fn at_utc(&self, moment: Timestamp) -> f64 {
        moment.duration_since(self.began_utc).as_secs_f64()
    }
}
