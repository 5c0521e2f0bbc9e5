//! A reboot that a maintenance has requested, and the boots on both sides of it.

use crate::machine::time::Moment;
use serde::{Deserialize, Serialize};

/// A reboot that was requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebootAsked {
    /// When, with the boot in which it was requested.
    pub at: Moment,
    /// How many times it was requested.
    pub times: u32,
    /// The boot that came next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_boot: Option<String>,
}

impl RebootAsked {
    /// Whether this boot is the one that came next.
    pub fn comes_right_before(&self, boot_id: &str) -> bool {
        // The driver of the next boot may not have started yet.
        self.at.boot_id != boot_id && self.next_boot.as_deref().is_none_or(|next| next == boot_id)
    }
}
