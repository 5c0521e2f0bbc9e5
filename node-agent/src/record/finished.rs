//! How a maintenance ended, and how each of its phases did.

use super::phase::{Outcome, Phase};
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
    /// How long it took, in seconds; by the wall clock when a reboot lies within.
    pub seconds: f64,
    /// Why it ended so, unless it is ok.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

// Seconds are measured, never NaN.
impl Eq for PhaseRun {}

/// How a maintenance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As asked.
    Succeeded,
    /// Not as asked, and the node is back in service.
    FailedButRestored,
    /// The node never left service.
    NothingChanged,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Succeeded => "succeeded",
            Verdict::FailedButRestored => "failed, but the node is back in service",
            Verdict::NothingChanged => "nothing changed",
        })
    }
}

/// A finished maintenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// The request's id.
    pub id: String,
    /// Other requests that it answered.
    #[serde(default)]
    pub also: Vec<String>,
    /// How it ended.
    pub verdict: Verdict,
    /// What `maintain` ended, or ends, with.
    pub exit_code: u8,
    /// When.
    pub at: Timestamp,
    /// Why it did not go as asked.
    pub reason: Option<String>,
    /// It was given up, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turned_back: Option<TurnedBack>,
    /// Its phases.
    pub phases: Vec<PhaseRun>,
    /// How many boots it saw.
    pub boots: u32,
}

impl Finished {
    /// Whether a request was done by this maintenance.
    pub fn answers(&self, id: &str) -> bool {
        self.id == id || self.also.iter().any(|also| also == id)
    }
}
