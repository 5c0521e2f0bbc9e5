//! Who drives: decided here, once for each invocation, and handed down from here.

use crate::agent::failure::Complaint;
use crate::agent::open;
use crate::client::start;
use crate::record::journal::{self, Journal, JournalError, Opened};
use crate::settings::Settings;

/// Who drives this node.
#[derive(Debug)]
pub(crate) enum Drives {
    /// Another process, which is followed.
    Another {
        /// What starts it. `None`: it is at work, and nothing starts one in its place.
        start: Option<Vec<String>>,
    },
    /// This one. It has the record, and nobody else can have it.
    ThisProcess(Box<Opened>),
}

impl Drives {
    /// Installed, the unit drives. Without it, whoever has the record's lock does: this process, if it gets it.
    pub(crate) fn decided(settings: &Settings) -> Result<Drives, Complaint> {
        if let Some(start) = start::command(settings) {
            return Ok(Drives::Another { start: Some(start) });
        }
        loop {
            match Journal::open(&settings.state_dir) {
                Ok(opened) => return Ok(Drives::ThisProcess(Box::new(opened))),
                Err(JournalError::Locked) if journal::is_driven(&settings.state_dir) => {
                    return Ok(Drives::Another { start: None });
                }
                // Somebody only looked whether there is a driver, which takes an instant.
                Err(JournalError::Locked) => std::thread::yield_now(),
                Err(error) => return Err(open::journal_complaint(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(start_driver: Option<Vec<String>>) -> (tempfile::TempDir, Settings) {
        let dir = tempfile::tempdir().unwrap();
        let state_dir = dir.path().join("state");
        (dir, Settings { state_dir, start_driver, ..Settings::default() })
    }

    fn started_by(drives: Drives) -> Option<Vec<String>> {
        match drives {
            Drives::Another { start } => start,
            Drives::ThisProcess(_) => panic!("this process drives"),
        }
    }

    #[test]
    fn where_a_driver_is_installed_it_drives_whether_it_runs_or_not() {
        let start = vec!["start".to_owned()];
        let (_dir, settings) = settings(Some(start.clone()));
        assert_eq!(started_by(Drives::decided(&settings).unwrap()), Some(start.clone()));
        let _runs = Journal::open(&settings.state_dir).unwrap();
        assert_eq!(started_by(Drives::decided(&settings).unwrap()), Some(start));
    }

    #[test]
    fn where_none_is_installed_whoever_has_the_lock_drives() {
        let (_dir, settings) = settings(Some(Vec::new()));
        let Drives::ThisProcess(_ours) = Drives::decided(&settings).unwrap() else {
            panic!("somebody else drives");
        };
        assert_eq!(started_by(Drives::decided(&settings).unwrap()), None);
    }
}
