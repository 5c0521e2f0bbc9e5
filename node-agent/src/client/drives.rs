//! Decides who drives this node, once for each invocation.

use crate::agent::failure::Complaint;
use crate::agent::open;
use crate::client::start;
use crate::record::journal::{self, Journal, JournalError, Opened};
use crate::settings::Settings;

/// Who drives this node.
#[derive(Debug)]
pub(crate) enum Drives {
    /// Another process, which this one follows.
    Another {
        /// The command that starts it. `None`: it is running, and nothing starts another.
        start: Option<Vec<String>>,
    },
    /// This process. It has locked the record.
    ThisProcess(Box<Opened>),
}

impl Drives {
    /// If the unit is installed, it drives. Otherwise the process that gets the lock of the record drives.
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
                // Another process holds the lock for an instant to check for a driver.
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
    fn an_installed_driver_drives_whether_it_is_running_or_not() {
        let start = vec!["start".to_owned()];
        let (_dir, settings) = settings(Some(start.clone()));
        assert_eq!(started_by(Drives::decided(&settings).unwrap()), Some(start.clone()));
        let _runs = Journal::open(&settings.state_dir).unwrap();
        assert_eq!(started_by(Drives::decided(&settings).unwrap()), Some(start));
    }

    #[test]
    fn without_an_installed_driver_the_process_with_the_lock_drives() {
        let (_dir, settings) = settings(Some(Vec::new()));
        let Drives::ThisProcess(_ours) = Drives::decided(&settings).unwrap() else {
            panic!("somebody else drives");
        };
        assert_eq!(started_by(Drives::decided(&settings).unwrap()), None);
    }
}
