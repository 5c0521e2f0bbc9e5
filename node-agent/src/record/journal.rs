//! The record on disk: written before every side effect, and never by two processes at a time.

use crate::machine::time::Moment;
use crate::record::disk::{Disk, LocalDisk};
use crate::record::mailbox::file_name;
use crate::record::{Record, VERSION};
use serde::Deserialize;
use serde::de::Error;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod error;

pub use error::JournalError;
use error::io_error;

const RECORD: &str = "record.json";
const LOCK: &str = "lock";
/// The longest record that is read, in bytes.
const LONGEST: u64 = 64 * 1024 * 1024;

/// The record, open for writing. Holds the lock on its directory.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    /// The record as the next [`Journal::save`] writes it.
    pub record: Record,
    is_new: bool,
    is_lost: bool,
    disk: Arc<dyn Disk>,
    /// Not empty once a record has been written beside it, so that a lost record is noticed.
    lock: File,
}

/// Reads the record without locking it, for `status`.
///
/// # Errors
/// [`JournalError`]; an absent record is `None`.
pub fn read(dir: &Path) -> Result<Option<Record>, JournalError> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let path = dir.join(RECORD);
    let mut text = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut text));
    match read {
        Ok(_) => (),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(io_error("read the record", &path)(cause)),
    };
    let corrupt = |cause| JournalError::Corrupt { path: path.clone(), cause };
    if text.len() as u64 > LONGEST {
        return Err(corrupt(serde_json::Error::custom(format!("it is longer than {LONGEST} bytes"))));
    }
    // The version first: a newer record may have other fields.
    let Version { version: found } = serde_json::from_slice(&text).map_err(corrupt)?;
    if found > VERSION {
        return Err(JournalError::Newer { path, found });
    }
    if found < VERSION {
        return before_the_first_release(&text, path);
    }
    serde_json::from_slice(&text).map(Some).map_err(corrupt)
}

/// No release has written such a record, so it is replaced, unless it is needed to bring the node back.
fn before_the_first_release(text: &[u8], path: PathBuf) -> Result<Option<Record>, JournalError> {
    #[derive(Deserialize)]
    struct Unreleased {
        operation: Option<serde::de::IgnoredAny>,
    }
    match serde_json::from_slice(text) {
        Ok(Unreleased { operation: None }) => Ok(None),
        Ok(Unreleased { operation: Some(_) }) => Err(JournalError::Older { path }),
        Err(cause) => Err(JournalError::Corrupt { path, cause }),
    }
}

/// Whether the record can be read, and no maintenance is on it.
pub fn is_idle(dir: &Path) -> bool {
    read(dir).is_ok_and(|record| record.is_none_or(|record| record.operation.is_none()))
}

/// Whether a process drives this node now.
pub fn is_driven(dir: &Path) -> bool {
    let lock = File::open(dir.join(LOCK)).map(|lock| lock.try_lock_shared());
    matches!(lock, Ok(Err(TryLockError::WouldBlock)))
}

impl Journal {
    /// Locks the directory and reads the record in it. Makes the directory, with mode 0700, if it is absent.
    ///
    /// # Errors
    /// [`JournalError::Locked`] without waiting, when another process holds the lock.
    pub fn open(dir: &Path) -> Result<Opened, JournalError> {
        let lock = Journal::lock(dir)?;
        let found = read(dir)?;
        let has_been = lock.metadata().is_ok_and(|lock| lock.len() > 0);
        Ok(Opened { is_lost: has_been && found.is_none(), found, dir: dir.to_owned(), lock })
    }

    /// The lock alone, for a driver that cannot read the record.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn lock(dir: &Path) -> Result<File, JournalError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(io_error("make the directory", dir))?;
        let path = dir.join(LOCK);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.map_err(io_error("open the lock", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(JournalError::Locked),
            Err(TryLockError::Error(cause)) => Err(io_error("lock", &path)(cause)),
        }
    }

    /// Whether there was no record of this instance.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// There was a record here, and it is gone.
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// If the record was lost, adds one call in doubt for all those that it may have named. They count as sent right before
    /// the boot.
    pub fn assume_calls_in_doubt(&mut self, boot: Moment) {
        if self.is_lost {
            self.record.calls_in_doubt.begin(boot);
        }
    }

    /// This journal, on another disk.
    pub fn on(self, disk: Arc<dyn Disk>) -> Journal {
        Journal { disk, ..self }
    }

    /// Writes the record. When this returns, it survives a power cut.
    ///
    /// # Errors
    /// [`JournalError::Io`]; the record on disk is unchanged.
    pub fn save(&self) -> Result<(), JournalError> {
        let path = self.dir.join(RECORD);
        if self.lock.metadata().is_ok_and(|lock| lock.len() == 0) {
            let marked = (&self.lock)
                .write_all(b"a record has been written here\n")
                .and_then(|()| self.lock.sync_all());
            marked.map_err(io_error("mark the lock beside", &path))?;
        }
        let text = serde_json::to_vec_pretty(&self.record).map_err(io::Error::from);
        let written = text.and_then(|mut text| {
            text.push(b'\n');
            self.disk.replace(&path, &text)
        });
        written.map_err(io_error("write the record", &path))
    }
}

/// A locked directory and the record found in it.
#[derive(Debug)]
pub struct Opened {
    /// The record, if there is one.
    pub found: Option<Record>,
    /// There was a record, and it is gone.
    pub is_lost: bool,
    dir: PathBuf,
    lock: File,
}

impl Opened {
    /// The error if the record belongs to another instance than this one.
    pub fn foreign_to(&self, instance_id: &str) -> Option<JournalError> {
        let record = self.found.as_ref().filter(|record| record.instance_id != instance_id)?;
        let (of, asked) = (record.instance_id.clone(), instance_id.to_owned());
        Some(JournalError::Foreign { path: self.dir.join(RECORD), of, asked })
    }

    /// Makes it the journal of this instance. Another instance's record is set aside and not used: an image may have been
    /// made from a node in maintenance. The caller must know for certain which instance this is.
    ///
    /// # Errors
    /// [`JournalError::Io`] when it cannot be set aside.
    pub fn for_instance(self, instance_id: &str, region: &str) -> Result<Journal, JournalError> {
        if self.is_lost {
            tracing::warn!("the record of this node is missing: {} had one", self.dir.display());
        }
        let own = self.found.as_ref().is_some_and(|record| record.instance_id == instance_id);
        let record = match self.found {
            Some(record) if own => record,
            Some(foreign) => {
                let aside = aside(&self.dir, &foreign.instance_id);
                std::fs::rename(self.dir.join(RECORD), &aside)
                    .map_err(io_error("set aside the record", &aside))?;
                tracing::warn!(
                    "the record belongs to {}, not to this node: set aside as {}",
                    foreign.instance_id,
                    aside.display()
                );
                Record::new(instance_id, region)
            }
            None => Record::new(instance_id, region),
        };
        Ok(Journal {
            dir: self.dir,
            record,
            is_new: !own,
            is_lost: self.is_lost,
            disk: Arc::new(LocalDisk),
            lock: self.lock,
        })
    }
}

/// A new name for another instance's record. It never overwrites one that was set aside before.
fn aside(dir: &Path, instance_id: &str) -> PathBuf {
    let name = file_name(instance_id);
    let numbered = (2..).map(|number| format!("foreign-{name}-{number}.json"));
    let mut names =
        std::iter::once(format!("foreign-{name}.json")).chain(numbered).map(|name| dir.join(name));
    // The numbers do not end, so there is always one.
    names.find(|path| !path.exists()).unwrap_or_else(|| dir.join("foreign.json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::eventually;
    use std::os::unix::fs::PermissionsExt;

    fn journal(dir: &Path, id: &str) -> Journal {
        let mut opened = None;
        eventually(|| {
            opened = match Journal::open(dir) {
                Err(JournalError::Locked) => None,
                opened => Some(opened.unwrap()),
            };
            opened.is_some()
        });
        opened.unwrap().for_instance(id, "eu-west-1").unwrap()
    }

    #[test]
    fn a_saved_record_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        journal(dir.path(), "i-1").save().unwrap();
        assert_eq!(read(dir.path()).unwrap(), Some(Record::new("i-1", "eu-west-1")));
        assert_eq!(journal(dir.path(), "i-1").record.instance_id, "i-1");
    }

    #[test]
    fn a_lost_record_leaves_its_calls_in_doubt() {
        let dir = tempfile::tempdir().unwrap();
        let boot = Moment { boot_id: "boot".into(), uptime_ms: 0, utc: jiff::Timestamp::UNIX_EPOCH };
        let doubts = || {
            let mut journal = journal(dir.path(), "i-1");
            journal.assume_calls_in_doubt(boot.clone());
            !journal.record.calls_in_doubt.is_empty()
        };
        assert!(!doubts(), "there never was a record");
        assert!(!doubts(), "opening the journal writes no record");
        journal(dir.path(), "i-1").save().unwrap();
        assert!(!doubts(), "the record exists");
        std::fs::remove_file(dir.path().join(RECORD)).unwrap();
        assert!(doubts());
    }

    #[test]
    fn two_processes_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let _first = journal(dir.path(), "i-1");
        assert!(matches!(Journal::open(dir.path()), Err(JournalError::Locked)));
    }

    #[test]
    fn only_the_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("state");
        journal(&dir, "i-1").save().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&dir.join(RECORD))), (0o700, 0o600));
    }

    #[test]
    fn a_damaged_or_newer_record_is_refused_and_kept() {
        for (text, part) in
            [("{\"version\": 1", "EOF while parsing"), ("{\"version\": 7}", "it has version 7"), ("", "EOF")]
        {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(RECORD), text).unwrap();
            let error = Journal::open(dir.path()).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("nothing was done"), "{error}");
            assert_eq!(std::fs::read_to_string(dir.path().join(RECORD)).unwrap(), text);
        }
    }

    #[test]
    fn a_node_is_idle_without_a_maintenance_on_record_and_not_when_nobody_can_tell() {
        let dir = tempfile::tempdir().unwrap();
        assert!(is_idle(dir.path()), "there is no record");
        journal(dir.path(), "i-1").save().unwrap();
        assert!(is_idle(dir.path()));
        let mut busy = journal(dir.path(), "i-1");
        busy.record.operation = Some(crate::record::operation::tests::operation());
        busy.save().unwrap();
        assert!(!is_idle(dir.path()));
        std::fs::remove_file(dir.path().join(RECORD)).unwrap();
        std::fs::create_dir(dir.path().join(RECORD)).unwrap();
        assert!(read(dir.path()).is_err() && !is_idle(dir.path()), "it cannot be read");
    }

    #[test]
    fn the_record_of_another_instance_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        journal(dir.path(), "i-baked").save().unwrap();
        let opened = Journal::open(dir.path()).unwrap();
        assert!(opened.foreign_to("i-baked").is_none());
        assert!(
            matches!(opened.foreign_to("i-new"), Some(JournalError::Foreign { of, .. }) if of == "i-baked")
        );
        drop(opened);
        assert_eq!(journal(dir.path(), "i-new").record, Record::new("i-new", "eu-west-1"));
        assert!(dir.path().join("foreign-i-baked.json").exists());
        assert_eq!(read(dir.path()).unwrap(), None);
        // A record that was set aside before is not overwritten.
        journal(dir.path(), "i-baked").save().unwrap();
        journal(dir.path(), "i-new");
        assert!(dir.path().join("foreign-i-baked-2.json").exists());
    }
}
