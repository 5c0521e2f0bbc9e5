//! How far the command of a maintenance is.

use serde::{Deserialize, Serialize};

/// How far the command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandState {
    /// Not begun.
    NotRun,
    /// Begun; if nobody is there to see its end, it counts as failed.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended well, and asks for a reboot (exit code 194).
    RebootNeeded,
    /// Ended badly, or nobody saw its end.
    Failed,
}
