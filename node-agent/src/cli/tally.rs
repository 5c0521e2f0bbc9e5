//! What an operator's command has done, group by group: one group that refuses does not keep the others from being served.

use crate::agent::failure::Complaint;
use crate::exit;
use std::fmt::Display;

/// The outcome so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    done: usize,
    /// Group, exit code and reason.
    failed: Vec<(String, u8, String)>,
}

impl Tally {
    /// Something was done, or did not need to be.
    pub(super) fn done(&mut self) {
        self.done += 1;
    }

    /// Something in this group was not done.
    pub(super) fn failed(&mut self, group: &str, exit_code: u8, why: impl Display) {
        self.failed.push((group.to_owned(), exit_code, format!("{why:#}")));
    }

    /// What was read or done in this group, if that did not fail.
    pub(super) fn take<T>(&mut self, group: &str, answer: Result<T, Complaint>) -> Option<T> {
        answer.map_err(|complaint| self.failed(group, complaint.exit_code, complaint.error)).ok()
    }

    /// Whether nothing has failed.
    pub(super) fn is_clean(&self) -> bool {
        self.failed.is_empty()
    }

    /// The exit code of the command, or what it has failed to do. `what` continues "failed to".
    pub(super) fn end(self, what: &str) -> Result<u8, Complaint> {
        let Some((_, first, _)) = self.failed.first() else { return Ok(exit::DONE) };
        let exit_code = if self.done > 0 { exit::IN_PART } else { *first };
        let lines: Vec<_> = self.failed.iter().map(|(group, _, why)| format!("{group}: {why}")).collect();
        let error = anyhow::anyhow!("failed to {what}:\n  {}", lines.join("\n  "));
        Err(Complaint::new(exit_code, error))
    }
}
