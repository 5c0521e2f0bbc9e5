//! `idle`, for package scripts: whether the package can be removed.

use crate::agent::failure::Complaint;
use crate::agent::open;
use crate::cli::say::say;
use crate::exit;
use crate::record::journal;
use crate::settings::Settings;

/// Exit code 0 if no maintenance is on record. Needs no network and does not wait for a running driver.
pub(super) fn idle(settings: &Settings) -> Result<u8, Complaint> {
    let record = journal::read(&settings.state_dir)
        .map_err(|error| Complaint { exit_code: exit::FAILED, ..open::journal_complaint(error) })?;
    match record.and_then(|record| record.operation) {
        None => Ok(exit::DONE),
        Some(operation) => {
            let since = operation.began.utc.strftime("%Y-%m-%d %H:%M:%SZ");
            say(&format!("a maintenance started {since} is in phase {}\n", operation.phase));
            Ok(exit::FAILED)
        }
    }
}
