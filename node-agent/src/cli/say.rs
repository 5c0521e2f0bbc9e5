//! What a verb prints.

use std::io::Write;

/// Writes to standard output. A reader that has gone is no reason to fail.
pub(super) fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
