//! Why a maintenance was given up although nothing had failed.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a phase was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnedBack {
    /// By a signal, or by a request to stop.
    Stopped,
    /// By `rejoin`, before the node had drained.
    WantedBack,
    /// Nobody waits for it any more.
    AskerGone,
    /// The time given by --not-after has passed.
    WindowOver,
}

impl fmt::Display for TurnedBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            TurnedBack::Stopped => "asked to stop",
            TurnedBack::WantedBack => "asked to come back before it had drained",
            TurnedBack::AskerGone => "whoever asked for it has gone, so the node stays in service",
            TurnedBack::WindowOver => "the time given by --not-after has passed",
        })
    }
}
