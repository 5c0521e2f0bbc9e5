//! Which script has answered for a maintenance in a boot: with exit code 194 before the reboot, with the verdict after it.
//!
//! The SSM agent reboots the machine once for each 194 that it reads, so only one script may answer with it. Each answer is
//! a file `answered-OPERATION-BOOT` beside the record, which holds the script's id.

use crate::record::mailbox::file_name;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const PREFIX: &str = "answered-";

/// The answers beside a record.
#[derive(Debug, Clone)]
pub struct Answered {
    state_dir: PathBuf,
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// This script, for the first time.
    First,
    /// This script, which has answered before.
    Again,
    /// Another script has answered.
    Another(String),
}

impl Answered {
    /// The answers beside the record.
    pub fn beside(state_dir: &Path) -> Answered {
        Answered { state_dir: state_dir.to_owned() }
    }

    /// The first id to claim the answer for an operation in a boot has it. Survives a power cut.
    ///
    /// # Errors
    /// The system's error. Nobody has claimed the answer then.
    pub fn claim(&self, operation: &str, boot_id: &str, id: &str) -> io::Result<Claim> {
        self.forget_all_but(operation, boot_id);
        let path = self.path(operation, boot_id);
        // Linked when it is complete, which fails like O_EXCL if the name exists: no reader finds a file without its id.
        let own = path.with_extension(format!("{:016x}", rand::random::<u64>()));
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&own)?;
        let written = file.write_all(id.as_bytes()).and_then(|()| file.sync_all());
        let linked = written.and_then(|()| std::fs::hard_link(&own, &path));
        // Left behind, it is removed with the answers to an earlier maintenance.
        let _ = std::fs::remove_file(&own);
        match linked {
            Ok(()) => File::open(&self.state_dir)?.sync_all().map(|()| Claim::First),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let other = std::fs::read_to_string(&path)?;
                Ok(if other == id { Claim::Again } else { Claim::Another(other) })
            }
            Err(error) => Err(error),
        }
    }

    /// The script that has answered.
    pub fn by(&self, operation: &str, boot_id: &str) -> Option<String> {
        std::fs::read_to_string(self.path(operation, boot_id)).ok()
    }

    fn path(&self, operation: &str, boot_id: &str) -> PathBuf {
        self.state_dir.join(format!("{PREFIX}{}-{}", file_name(operation), file_name(boot_id)))
    }

    /// Removes the answers for other operations in other boots.
    fn forget_all_but(&self, operation: &str, boot_id: &str) {
        let (operation, boot_id) = (format!("{PREFIX}{}-", file_name(operation)), file_name(boot_id));
        for file in std::fs::read_dir(&self.state_dir).into_iter().flatten().flatten() {
            let name = file.file_name();
            let name = name.to_str().unwrap_or_default();
            if name.starts_with(PREFIX) && !name.starts_with(&operation) && !name.contains(&boot_id) {
                // It may be gone already.
                let _ = std::fs::remove_file(file.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn the_first_script_answers_and_the_same_one_again() {
        let dir = tempfile::tempdir().unwrap();
        let answered = Answered::beside(dir.path());
        assert_eq!(answered.by("operation", "boot"), None);
        assert_eq!(answered.claim("operation", "boot", "one").unwrap(), Claim::First);
        assert_eq!(answered.claim("operation", "boot", "one").unwrap(), Claim::Again);
        assert_eq!(answered.claim("operation", "boot", "two").unwrap(), Claim::Another("one".into()));
        assert_eq!(answered.by("operation", "boot").as_deref(), Some("one"));
        // Each boot and each operation has its own answer.
        assert_eq!(answered.claim("operation", "next", "two").unwrap(), Claim::First);
        assert_eq!(answered.claim("another", "next", "two").unwrap(), Claim::First);
    }

    #[test]
    fn of_many_at_once_one_is_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let (answered, barrier) = (Answered::beside(dir.path()), Barrier::new(8));
        let claims: Vec<_> = std::thread::scope(|scope| {
            let claim = |number: usize| {
                let (answered, barrier) = (&answered, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    answered.claim("operation", "boot", &number.to_string()).unwrap()
                })
            };
            let started: Vec<_> = (0..8).map(claim).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(claims.iter().filter(|claim| **claim == Claim::First).count(), 1, "{claims:?}");
    }

    #[test]
    fn answers_to_earlier_maintenances_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let answered = Answered::beside(dir.path());
        answered.claim("first", "boot-a", "one").unwrap();
        answered.claim("first", "boot-b", "one").unwrap();
        assert!(answered.by("first", "boot-a").is_some(), "the boot before the reboot is still needed");
        answered.claim("second", "boot-b", "two").unwrap();
        assert_eq!(
            (answered.by("first", "boot-a"), answered.by("first", "boot-b")),
            (None, Some("one".into()))
        );
        answered.claim("second", "boot-c", "two").unwrap();
        assert_eq!(answered.by("first", "boot-b"), None);
    }

    #[test]
    fn a_claim_that_cannot_be_written_is_nobodys() {
        let dir = tempfile::tempdir().unwrap();
        let answered = Answered::beside(&dir.path().join("missing"));
        assert!(answered.claim("operation", "boot", "one").is_err());
        assert_eq!(answered.by("operation", "boot"), None);
    }
}
