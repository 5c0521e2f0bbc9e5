//! The findings of `check`, and how they are printed.

use crate::agent::failure::Complaint;
use crate::aws::load_balancer::CallError;
use crate::cli::say::say;
use crate::exit;
use crate::record::phase::Phase;
use serde::Serialize;
use std::fmt::Write;

/// What `check` found. The answer is yes if there are no reasons against.
#[derive(Debug, Default, Serialize)]
pub(super) struct Findings {
    pub(super) reasons: Vec<String>,
    /// Phase of the maintenance in progress.
    pub(super) phase: Option<Phase>,
    /// As counted by the service, if it counts them.
    pub(super) requests_in_flight: Option<u64>,
    pub(super) groups: Vec<GroupFindings>,
    /// With a reason against: the exit code with which `maintain` would end now.
    #[serde(skip)]
    pub(super) maintain_ends: Option<u8>,
}

/// A reason against, which may be the only finding.
#[derive(Debug)]
pub(super) struct Against {
    why: String,
    maintain_ends: Option<u8>,
    /// The call for it was throttled: it may be known in a second.
    pub(super) is_throttled: bool,
}

impl Against {
    /// A reason that lasts until a person changes something.
    pub(super) fn lasting(why: impl Into<String>) -> Against {
        Against { maintain_ends: Some(exit::USAGE), ..Against::from(why.into()) }
    }
}

impl From<String> for Against {
    fn from(why: String) -> Against {
        Against { why, maintain_ends: None, is_throttled: false }
    }
}

impl From<&CallError> for Against {
    fn from(error: &CallError) -> Against {
        let why = format!("cannot tell: {error}");
        let against = if error.is_final() { Against::lasting(why) } else { why.into() };
        Against { is_throttled: error.is_throttled(), ..against }
    }
}

impl From<Complaint> for Against {
    fn from(complaint: Complaint) -> Against {
        let why = format!("cannot tell: {:#}", complaint.error);
        Against { maintain_ends: Some(complaint.exit_code), ..why.into() }
    }
}

impl From<Against> for Findings {
    fn from(against: Against) -> Findings {
        let mut findings = Findings::default();
        findings.add(against);
        findings
    }
}

impl Findings {
    /// Adds a reason against.
    pub(super) fn add(&mut self, against: impl Into<Against>) {
        let Against { why, maintain_ends, .. } = against.into();
        self.reasons.push(why);
        self.maintain_ends = self.maintain_ends.or(maintain_ends);
    }
}

/// This node in one target group.
#[derive(Debug, Serialize)]
pub(super) struct GroupFindings {
    pub(super) name: String,
    /// The targets of this node, each with its state and reason.
    pub(super) targets: Vec<String>,
    /// State of the lease of this node.
    pub(super) lease: Option<String>,
    /// The reason for the pause.
    pub(super) paused: Option<String>,
}

#[derive(Serialize)]
struct Answer<'a> {
    answer: &'a str,
    #[serde(flatten)]
    findings: &'a Findings,
}

/// Prints the answer, and returns its exit code: that of a no, or 0.
pub(super) fn answer(findings: &Findings, as_json: bool, no: u8) -> Result<u8, Complaint> {
    let (word, code) = if findings.reasons.is_empty() { ("yes", exit::DONE) } else { ("no", no) };
    if as_json {
        let answer = Answer { answer: word, findings };
        let text = serde_json::to_string_pretty(&answer).map_err(|e| Complaint::new(exit::FAILED, e))?;
        say(&format!("{text}\n"));
    } else {
        say(&format!("{word}\n{}", text(findings)));
    }
    Ok(code)
}

fn text(findings: &Findings) -> String {
    let mut out: String = findings.reasons.iter().map(|reason| format!("  - {reason}\n")).collect();
    if let Some(phase) = findings.phase {
        let _ = writeln!(out, "phase     {phase}");
    }
    if let Some(count) = findings.requests_in_flight {
        let _ = writeln!(out, "in flight {count}");
    }
    for group in &findings.groups {
        let targets =
            if group.targets.is_empty() { "not registered".to_owned() } else { group.targets.join(", ") };
        let lease = group.lease.as_ref().map(|lease| format!("; lease: {lease}")).unwrap_or_default();
        let paused = group.paused.as_ref().map(|why| format!("; paused: {why}")).unwrap_or_default();
        let _ = writeln!(out, "group     {}: {targets}{lease}{paused}", group.name);
    }
    out
}
