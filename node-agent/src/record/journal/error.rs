//! Why the record cannot be used, and what to do about it.

use crate::record::VERSION;
use std::io;
use std::path::{Path, PathBuf};

/// Why the record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process drives this node.
    #[error("another node-agent is working on this node; run `node-agent status` to see what it does")]
    Locked,
    /// Not JSON, or not a record.
    #[error(
        "failed to read the record {path}: {cause}; nothing was done. Check with `node-agent status` and at the load \
         balancer whether this node is in service, bring it back by hand if it is not, then move the file away"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: serde_json::Error,
    },
    /// Written before the first release, during a maintenance.
    #[error(
        "failed to read the record {path}: it was written before the first release, during a maintenance; nothing was \
         done. Bring this node back with the node-agent that wrote it, or by hand, then move the file away"
    )]
    Older {
        /// The file.
        path: PathBuf,
    },
    /// Written by a newer version of this program.
    #[error(
        "failed to read the record {path}: it has version {found}, and this program supports versions up to {VERSION}; \
         nothing was done. Install the newer node-agent again"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Of another instance, as far as anybody but a person says.
    #[error(
        "failed to use the record {path}: it belongs to {of}, and the instance metadata service does not confirm that \
         this machine is {asked}; nothing was done. Correct --instance-id; if the machine was launched from an image of \
         {of}, move the file away"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The instance that it belongs to.
        of: String,
        /// The instance that this machine is said to be.
        asked: String,
    },
    /// Not for this user.
    #[error("failed to {what} {path}: {cause}; only root may do this: run it as root, such as with sudo")]
    Denied {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// The disk failed.
    #[error("failed to {what} {path}: {cause}; free or repair the disk, then run `node-agent resume`")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
}

pub(super) fn io_error<'a>(
    what: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> JournalError + 'a {
    move |cause| {
        let path = path.to_owned();
        match cause.kind() {
            io::ErrorKind::PermissionDenied => JournalError::Denied { what, path, cause },
            _ => JournalError::Io { what, path, cause },
        }
    }
}
