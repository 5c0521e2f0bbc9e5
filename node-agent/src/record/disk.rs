//! Writes the record to disk, whole or not at all.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Where records are written. A test can replace it with a full disk, or with a power cut.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Replaces the content of a file. When this returns, the content survives a power cut. When it fails, the file is
    /// unchanged.
    ///
    /// # Errors
    /// The system's error.
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()>;
}

/// The disk of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    /// Temporary file, fsync, rename, fsync of the directory.
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let temporary = path.with_extension("json.new");
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        match path.parent() {
            Some(dir) => File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    }
}
