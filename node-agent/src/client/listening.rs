//! What the signals of a process that follows request of the driver.

use crate::agent::failure::Complaint;
use crate::agent::signals::{self, Asked, Heard};

/// Passes each request of the signals on once.
pub(super) struct Listening {
    heard: Heard,
    passed_on: Asked,
}

impl Listening {
    /// Starts to listen.
    pub(super) fn begin() -> Result<Listening, Complaint> {
        Ok(Listening { heard: signals::listen()?, passed_on: Asked::Nothing })
    }

    /// Waits for a request that has not been passed on.
    pub(super) async fn more(&mut self) -> Asked {
        match self.heard.asked.wait_for(|asked| *asked > self.passed_on).await {
            Ok(asked) => {
                self.passed_on = *asked;
                *asked
            }
            // The listening thread never ends before the process.
            Err(_) => std::future::pending().await,
        }
    }
}
