//! How the record gets to disk: whole, or not at all.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Where records are written; a test may be a disk that is full, or the moment after which the power fails.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Puts this content in the place of a file. When it returns, the content survives a power cut; when it fails, the
    /// file is as it was.
    ///
    /// # Errors
    /// What the system says.
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
