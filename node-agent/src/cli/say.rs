//! The standard output of every verb.

use std::io::Write;

/// Writes to standard output. A closed pipe is not an error.
pub(super) fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
