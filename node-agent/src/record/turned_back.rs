//! Why a maintenance was cancelled although nothing had failed.

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
    /// No client waits for it any more.
    AskerGone,
    /// The time given by --not-after has passed.
    WindowOver,
}

impl fmt::Display for TurnedBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            TurnedBack::Stopped => "stop requested",
            TurnedBack::WantedBack => "rejoin requested before the node had drained",
            TurnedBack::AskerGone => "no client waits for it any more, so the node stays in service",
            TurnedBack::WindowOver => "the time given by --not-after has passed",
        })
    }
}
