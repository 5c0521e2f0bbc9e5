//! The progress of a maintenance's command.

use serde::{Deserialize, Serialize};

/// The progress of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandState {
    /// Not started.
    NotRun,
    /// Started. If the driver does not see it end, it counts as failed.
    Running,
    /// Succeeded.
    Succeeded,
    /// Succeeded, and requests a reboot (exit code 194).
    RebootNeeded,
    /// Failed, or the driver did not see it end.
    Failed,
}
