//! What others ask of the driver at work, as files beside the record: the driver is another process, and outlives them.
//!
//! Whoever waits for an answer holds a shared lock as long as it lives. The kernel frees it even at SIGKILL, which is what
//! the SSM agent sends on a time-out or cancel, so the driver knows whether anybody still waits.

use crate::record::Request;
use crate::record::disk::{Disk, LocalDisk};
use rustix::process::geteuid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// No request is longer, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// What somebody asks of the driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// A new maintenance; the same one, if one like it is under way.
    Begin(Box<Request>),
    /// Come back: from `drained`, or look again after `halted`.
    ComeBack,
    /// Turn back, or stop the command, as far as that is still possible.
    Stop,
}

/// Why the driver does not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// What the one who asked ends with.
    pub exit_code: u8,
    /// Why, and what to do.
    pub reason: String,
}

/// The folder where requests are left.
#[derive(Debug, Clone)]
pub struct Requests {
    dir: PathBuf,
}

/// Somebody waits for the driver, for as long as this lives.
#[derive(Debug)]
pub struct Waits {
    _lock: File,
}

impl Requests {
    /// The requests beside a record, in its directory.
    pub fn beside(state_dir: &Path) -> Requests {
        Requests { dir: state_dir.join("requests") }
    }

    /// Shows the driver that somebody waits.
    ///
    /// # Errors
    /// What the system says.
    pub fn wait(&self) -> io::Result<Waits> {
        let lock = self.waiters()?;
        lock.lock_shared()?;
        Ok(Waits { _lock: lock })
    }

    /// Whether anybody waits. When that cannot be told, yes: nobody is given up on because of a full disk.
    pub fn is_waited_for(&self) -> bool {
        match self.waiters().map(|lock| lock.try_lock()) {
            Ok(Ok(())) => false,
            Ok(Err(TryLockError::WouldBlock | TryLockError::Error(_))) | Err(_) => true,
        }
    }

    /// Leaves a request for the driver.
    ///
    /// # Errors
    /// What the system says.
    pub fn leave(&self, ask: &Ask) -> io::Result<()> {
        self.write(&format!("{}.json", ask.name()), ask)
    }

    /// Takes a request back that no driver has taken.
    pub fn take_back(&self, ask: &Ask) {
        // Gone is as good as removed.
        let _ = std::fs::remove_file(self.dir.join(format!("{}.json", ask.name())));
    }

    /// Removes a request to stop when nobody waits: whoever left it is gone, and it was for another maintenance.
    pub fn forget_stop(&self) {
        if !self.is_waited_for() {
            self.take_back(&Ask::Stop);
        }
    }

    /// Whether the driver has yet to take it.
    pub fn is_left(&self, ask: &Ask) -> bool {
        self.dir.join(format!("{}.json", ask.name())).exists()
    }

    /// Takes every request that was left. One that cannot be understood, or that is not our own file, is dropped: what is
    /// asked for is done with our rights.
    pub fn take(&self) -> Vec<Ask> {
        let Ok(files) = std::fs::read_dir(&self.dir) else { return Vec::new() };
        let paths = files.flatten().map(|file| file.path());
        let mut paths: Vec<_> = paths.filter(|path| is_request(path)).collect();
        // The order of their names is as good as any: at most one of them is begun.
        paths.sort_unstable();
        let mut asked = Vec::new();
        for path in paths {
            match read(&path) {
                Ok(ask) => asked.push(ask),
                Err(error) => {
                    tracing::warn!("failed to read the request {}: {error}; dropped", path.display());
                }
            }
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!("failed to remove the request {}: {error}", path.display());
            }
        }
        asked
    }

    /// Tells whoever asked for this operation that it will not be.
    pub fn refuse(&self, id: &str, refused: &Refused) {
        if let Err(error) = self.write(&refusal(id), refused) {
            tracing::warn!("failed to answer the request {id}: {error}");
        }
    }

    /// The refusal of an operation, once.
    pub fn refused(&self, id: &str) -> Option<Refused> {
        let path = self.dir.join(refusal(id));
        let refused = read(&path).ok()?;
        let _ = std::fs::remove_file(&path);
        Some(refused)
    }

    fn waiters(&self) -> io::Result<File> {
        self.make()?;
        let path = self.dir.join("waiters");
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
    }

    fn make(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)
    }

    fn write(&self, name: &str, content: &impl Serialize) -> io::Result<()> {
        self.make()?;
        LocalDisk.replace(&self.dir.join(name), &serde_json::to_vec(content)?)
    }
}

impl Ask {
    /// One file for each operation that is asked for, one for each of the others.
    fn name(&self) -> String {
        match self {
            Ask::Begin(request) => format!("ask-begin-{}", file_name(&request.id)),
            Ask::ComeBack => "ask-come-back".to_owned(),
            Ask::Stop => "ask-stop".to_owned(),
        }
    }
}

fn is_request(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with("ask-") && name.ends_with(".json")
}

fn refusal(id: &str) -> String {
    format!("refused-{}.json", file_name(id))
}

fn read<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let file = std::fs::symlink_metadata(path)?;
    if !file.is_file() || file.uid() != geteuid().as_raw() {
        return Err(io::Error::other(format!("it is not a file of user {}", geteuid().as_raw())));
    }
    let mut text = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::other(format!("it is longer than {LONGEST} bytes")));
    }
    Ok(serde_json::from_slice(&text)?)
}

/// An id as it may stand in a file's name: it must not name a file elsewhere.
pub(crate) fn file_name(id: &str) -> String {
    id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn requests() -> (tempfile::TempDir, Requests) {
        let dir = tempfile::tempdir().unwrap();
        let requests = Requests::beside(dir.path());
        (dir, requests)
    }

    fn begin(id: &str) -> Ask {
        Ask::Begin(Box::new(Request::new(id.to_owned(), Settings::default())))
    }

    #[test]
    fn what_was_left_is_taken_once() {
        let (_dir, requests) = requests();
        assert_eq!(requests.take(), []);
        for ask in [begin("one"), begin("two"), Ask::Stop] {
            requests.leave(&ask).unwrap();
            assert!(requests.is_left(&ask));
        }
        assert_eq!(requests.take(), [begin("one"), begin("two"), Ask::Stop]);
        assert_eq!(requests.take(), []);
    }

    #[test]
    fn an_id_names_no_file_elsewhere() {
        let (dir, requests) = requests();
        requests.leave(&begin("../../evil")).unwrap();
        assert!(dir.path().join("requests/ask-begin-evil.json").exists());
    }

    #[test]
    fn somebody_waits_as_long_as_one_of_them_lives() {
        let (_dir, requests) = requests();
        assert!(!requests.is_waited_for());
        let (first, second) = (requests.wait().unwrap(), requests.wait().unwrap());
        assert!(requests.is_waited_for());
        drop(first);
        assert!(requests.is_waited_for());
        drop(second);
        assert!(!requests.is_waited_for());
    }

    #[test]
    fn a_request_to_stop_is_forgotten_with_those_who_left_it() {
        let (_dir, requests) = requests();
        requests.leave(&Ask::Stop).unwrap();
        let waits = requests.wait().unwrap();
        requests.forget_stop();
        assert!(requests.is_left(&Ask::Stop));
        drop(waits);
        requests.forget_stop();
        assert!(!requests.is_left(&Ask::Stop));
    }

    #[test]
    fn what_is_no_request_is_dropped_and_a_refusal_is_told_once() {
        let (dir, requests) = requests();
        requests.leave(&Ask::Stop).unwrap();
        std::fs::write(dir.path().join("requests/ask-nonsense.json"), "{").unwrap();
        let refused = Refused { exit_code: 75, reason: "busy".into() };
        requests.refuse("one", &refused);
        assert_eq!(requests.take(), [Ask::Stop]);
        assert_eq!(requests.refused("one"), Some(refused));
        assert_eq!(requests.refused("one"), None);
    }

    #[test]
    fn only_our_own_files_are_requests() {
        let (dir, requests) = requests();
        requests.leave(&Ask::Stop).unwrap();
        let file = |name: &str| dir.path().join("requests").join(name);
        // The same words behind a link, and in a file of somebody else's where we may make one.
        std::fs::copy(file("ask-stop.json"), file("elsewhere")).unwrap();
        std::os::unix::fs::symlink(file("elsewhere"), file("ask-linked.json")).unwrap();
        if geteuid().is_root() {
            std::fs::copy(file("ask-stop.json"), file("ask-foreign.json")).unwrap();
            std::os::unix::fs::chown(file("ask-foreign.json"), Some(65534), None).unwrap();
        }
        assert_eq!(requests.take(), [Ask::Stop]);
        assert!(!file("ask-linked.json").exists() && !file("ask-foreign.json").exists());
    }
}
