//! How a maintenance and each of its phases ended.

use super::phase::{Outcome, Phase};
use super::reboot_asked::RebootAsked;
use super::turned_back::TurnedBack;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A phase that ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseRun {
    /// Which.
    pub phase: Phase,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began.
    pub began: Timestamp,
    /// How long it took, in seconds, by the wall clock.
    pub seconds: f64,
    /// The reason, unless the outcome is ok.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

// Seconds are measured, never NaN.
impl Eq for PhaseRun {}

/// How a maintenance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All that was requested is done, and the node is back in service.
    Succeeded,
    /// Something failed, and the node is back in service.
    FailedButRestored,
    /// All target groups of the node were deleted while it was out, so it is back in none.
    GroupsDeleted,
    /// The node never left service.
    NothingChanged,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Succeeded => "succeeded",
            Verdict::FailedButRestored => "failed, but the node is back in service",
            Verdict::GroupsDeleted => "not back in service: all target groups of the node were deleted",
            Verdict::NothingChanged => "nothing changed",
        })
    }
}

/// A finished maintenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// The request's id.
    pub id: String,
    /// Other requests that joined it.
    #[serde(default)]
    pub also: Vec<String>,
    /// How it ended.
    pub verdict: Verdict,
    /// The exit code of `maintain`.
    pub exit_code: u8,
    /// When.
    pub at: Timestamp,
    /// Why it did not succeed.
    pub reason: Option<String>,
    /// Why it was cancelled, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turned_back: Option<TurnedBack>,
    /// Its phases.
    pub phases: Vec<PhaseRun>,
    /// How many boots happened during it.
    pub boots: u32,
    /// The reboot that it requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot: Option<RebootAsked>,
}

impl Finished {
    /// Whether this maintenance is the result of a request.
    pub fn answers(&self, id: &str) -> bool {
        self.ids().any(|own| own == id)
    }

    /// The ids of all requests that ended with this maintenance.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.id).chain(&self.also).map(String::as_str)
    }
}
