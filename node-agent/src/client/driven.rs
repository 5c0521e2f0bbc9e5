//! Tells a driver at work from what a killed driver leaves behind for a moment.

use crate::record::journal;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A lock that is held for longer belongs to a driver.
const OUTLIVES: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Whether a process drives this node. Takes a second to say yes: a driver killed while it starts a program leaves a
/// child that holds the record's lock until its exec closes it.
pub(super) async fn stays_driven(state_dir: &Path) -> bool {
    let began = Instant::now();
    while journal::is_driven(state_dir) {
        if began.elapsed() >= OUTLIVES {
            return true;
        }
        sleep(LOOK_EVERY).await;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::journal::Journal;
    use std::fs::File;
    use std::process::Command;

    #[tokio::test]
    async fn the_child_of_a_killed_driver_is_no_driver() {
        let dir = tempfile::tempdir().unwrap();
        let lock = File::create(dir.path().join("lock")).unwrap();
        lock.lock().unwrap();
        // It alone holds the lock, as a child does whose driver was killed before the child's exec.
        let mut child = Command::new("sleep").arg("60").stdin(lock).spawn().unwrap();
        let ends = async {
            child.kill().unwrap();
            child.wait().unwrap();
        };
        assert!(journal::is_driven(dir.path()));
        assert!(!tokio::join!(stays_driven(dir.path()), ends).0);
    }

    #[tokio::test]
    async fn a_driver_at_work_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let _at_work = Journal::open(dir.path()).unwrap();
        assert!(stays_driven(dir.path()).await);
    }
}
