//! Requests to the driver, as files beside the record: the driver is another process, and may outlive the client.
//!
//! A client that waits for an answer holds a shared lock while it lives. The kernel releases the lock even after SIGKILL,
//! which the SSM agent sends on a time-out or cancel, so the driver knows whether a client still waits.

use crate::exit;
use crate::record::Request;
use crate::record::disk::{Disk, LocalDisk};
use rustix::fs::{FlockOperation, flock};
use rustix::process::geteuid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest request that is read, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// How many looks show that another client holds the lock.
const LOOKS: u32 = 4;
/// The time between them.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// A request to the driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Start a maintenance, or join one for the same work.
    Begin(Box<Request>),
    /// Return to service from `drained`, or try again after `halted`.
    ComeBack,
    /// Return to service, or stop the command, if that is still possible.
    Stop,
}

/// Why the driver refuses a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The exit code of the client.
    pub exit_code: u8,
    /// Why, and what to do.
    pub reason: String,
}

impl Refused {
    /// A refusal whose reason could not be written.
    fn unwritten() -> Refused {
        Refused {
            exit_code: exit::HALTED,
            reason: "the driver cannot go on, and cannot write why: the disk is full or damaged; free or repair it, and see \
                     `journalctl -u node-agent`"
                .to_owned(),
        }
    }
}

/// The directory with the requests.
#[derive(Debug, Clone)]
pub struct Requests {
    dir: PathBuf,
}

/// Shows that a client waits, while this value lives.
#[derive(Debug)]
pub struct Waits {
    lock: File,
}

impl Waits {
    /// Lets other clients wait, too.
    ///
    /// # Errors
    /// The system's error.
    pub fn shared(self) -> io::Result<Waits> {
        flock(&self.lock, FlockOperation::LockShared)?;
        Ok(self)
    }
}

impl Requests {
    /// The requests beside the record.
    pub fn beside(state_dir: &Path) -> Requests {
        Requests { dir: state_dir.join("requests") }
    }

    /// Shows the driver that a client waits.
    ///
    /// # Errors
    /// The system's error.
    pub fn wait(&self) -> io::Result<Waits> {
        let lock = self.waiters()?;
        lock.lock_shared()?;
        Ok(Waits { lock })
    }

    /// Whether a client waits. If that is unknown, yes: a full disk must not cancel a maintenance.
    pub fn is_waited_for(&self) -> bool {
        match self.waiters().map(|lock| lock.try_lock()) {
            Ok(Ok(())) => false,
            Ok(Err(TryLockError::WouldBlock | TryLockError::Error(_))) | Err(_) => true,
        }
    }

    /// Whether other clients wait than the one with this lock. If none does, the lock is exclusive afterwards: to the driver
    /// this client waits all the time. The driver's look at the lock may hold it for an instant, so a first "yes" is not
    /// believed.
    pub async fn is_waited_for_by_others(&self, own: Option<&Waits>) -> bool {
        for _ in 0..LOOKS {
            let alone = match own {
                Some(own) => flock(&own.lock, FlockOperation::NonBlockingLockExclusive).is_ok(),
                None => !self.is_waited_for(),
            };
            if alone {
                return false;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        true
    }

    /// Writes a request for the driver.
    ///
    /// # Errors
    /// The system's error.
    pub fn leave(&self, ask: &Ask) -> io::Result<()> {
        self.write(&format!("{}.json", ask.name()), ask)
    }

    /// Withdraws a request.
    pub fn take_back(&self, ask: &Ask) {
        // The driver may have taken it already.
        let _ = std::fs::remove_file(self.dir.join(format!("{}.json", ask.name())));
    }

    /// Removes a request to stop when no client waits: its client is gone, and it was for an earlier maintenance.
    pub fn forget_stop(&self) {
        if !self.is_waited_for() {
            self.take_back(&Ask::Stop);
        }
    }

    /// Whether the driver has not taken a request yet.
    pub fn is_left(&self, ask: &Ask) -> bool {
        self.dir.join(format!("{}.json", ask.name())).exists()
    }

    /// Takes all requests. Drops one that cannot be understood, or whose file belongs to another user: requests are carried
    /// out with our permissions.
    pub fn take(&self) -> Vec<Ask> {
        let Ok(files) = std::fs::read_dir(&self.dir) else { return Vec::new() };
        let paths = files.flatten().map(|file| file.path());
        let mut paths: Vec<_> = paths.filter(|path| is_request(path)).collect();
        // Any fixed order will do: at most one of them starts.
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

    /// Refuses the request for this operation.
    pub fn refuse(&self, id: &str, refused: &Refused) {
        if let Err(error) = self.write(&refusal(id), refused) {
            tracing::warn!("failed to answer the request {id}: {error}");
            // A full disk still takes the name of a file.
            let path = self.dir.join(refusal(id));
            let empty = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path);
            if let Err(error) = empty {
                tracing::warn!("failed to answer the request {id} without a reason, too: {error}");
            }
        }
    }

    /// Whether a refusal of an operation has not been taken yet.
    pub(crate) fn is_refused(&self, id: &str) -> bool {
        self.dir.join(refusal(id)).exists()
    }

    /// Takes the refusal of an operation, if there is one.
    pub fn refused(&self, id: &str) -> Option<Refused> {
        let path = self.dir.join(refusal(id));
        let file = std::fs::symlink_metadata(&path).ok()?;
        let refused =
            if file.is_file() && file.len() == 0 { Refused::unwritten() } else { read(&path).ok()? };
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
    /// The file's name: one file for each requested operation, and one for each other kind of request.
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

/// An id as part of a file name: it must not lead to another directory.
pub(crate) fn file_name(id: &str) -> String {
    id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::eventually;
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
    fn each_request_is_taken_once() {
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
    fn the_driver_is_waited_for_while_one_client_lives() {
        let (_dir, requests) = requests();
        assert!(!requests.is_waited_for());
        let (first, second) = (requests.wait().unwrap(), requests.wait().unwrap());
        assert!(requests.is_waited_for());
        drop(first);
        assert!(requests.is_waited_for());
        drop(second);
        eventually(|| !requests.is_waited_for());
    }

    #[test]
    fn a_request_to_stop_is_dropped_once_no_client_waits() {
        let (_dir, requests) = requests();
        requests.leave(&Ask::Stop).unwrap();
        let waits = requests.wait().unwrap();
        requests.forget_stop();
        assert!(requests.is_left(&Ask::Stop));
        drop(waits);
        eventually(|| {
            requests.forget_stop();
            !requests.is_left(&Ask::Stop)
        });
    }

    #[test]
    fn an_invalid_request_is_dropped_and_a_refusal_is_read_once() {
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
        // Valid content behind a link, and in another user's file where we may make one.
        std::fs::copy(file("ask-stop.json"), file("elsewhere")).unwrap();
        std::os::unix::fs::symlink(file("elsewhere"), file("ask-linked.json")).unwrap();
        if geteuid().is_root() {
            std::fs::copy(file("ask-stop.json"), file("ask-foreign.json")).unwrap();
            std::os::unix::fs::chown(file("ask-foreign.json"), Some(65534), None).unwrap();
        }
        let refused = read::<Ask>(&file("ask-linked.json")).unwrap_err().to_string();
        assert!(refused.starts_with("it is not a file of user "), "{refused}");
        assert_eq!(requests.take(), [Ask::Stop]);
        assert!(!file("ask-linked.json").exists() && !file("ask-foreign.json").exists());
    }
}
