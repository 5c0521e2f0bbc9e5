//! The machine goes down by somebody else's will.

use serde::{Deserialize, Serialize};

/// Which way the machine goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoingDown {
    /// It will be back in a moment.
    Reboot,
    /// It may never be back.
    PowerOff,
}
