//! The error that ends a verb, with its exit code.

use crate::record::journal::JournalError;

/// The error that ends a verb: what failed, why, what to do, and the exit code.
#[derive(Debug)]
pub(crate) struct Complaint {
    pub(crate) error: anyhow::Error,
    pub(crate) exit_code: u8,
}

impl Complaint {
    pub(crate) fn new(exit_code: u8, error: impl Into<anyhow::Error>) -> Complaint {
        Complaint { error: error.into(), exit_code }
    }

    /// Whether another process has locked the record.
    pub(crate) fn is_locked(&self) -> bool {
        matches!(self.error.downcast_ref(), Some(JournalError::Locked))
    }
}
