//! A control group of its own for each machine, on a host without systemd.
//!
//! There, systemd-nspawn leaves the machine in its caller's control group. Machines that share one are not independent: the
//! systemd of each removes and kills control groups with the names of the others' units.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Where systemd's own hierarchy may be mounted: version 1, version 2 beside version 1, and version 2 alone.
const HIERARCHIES: [&str; 3] = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// The control groups of one machine, one in each hierarchy. Dropping it removes them.
#[derive(Debug)]
pub(crate) struct ControlGroups(Vec<PathBuf>);

impl ControlGroups {
    /// Creates them where they are needed.
    pub(crate) fn create(name: &str) -> std::io::Result<ControlGroups> {
        let mut created = ControlGroups(Vec::new());
        if Path::new("/run/systemd/system").exists() {
            // The host's systemd gives each machine a scope.
            return Ok(created);
        }
        for hierarchy in HIERARCHIES.map(Path::new) {
            // The parent of several hierarchies is not one itself.
            if hierarchy.join("cgroup.procs").exists() {
                let group = hierarchy.join(name);
                std::fs::create_dir_all(&group)?;
                created.0.push(group);
            }
        }
        Ok(created)
    }

    /// Whether the machine has some.
    pub(crate) fn exist(&self) -> bool {
        !self.0.is_empty()
    }

    /// The words in front of a command that is to run in these control groups.
    pub(crate) fn enter(&self) -> Vec<&OsStr> {
        const MOVE: &str =
            "while [ \"$1\" != -- ]; do echo $$ >\"$1/cgroup.procs\"; shift; done; shift; exec \"$@\"";
        let groups = self.0.iter().map(|group| group.as_os_str());
        ["sh", "-euc", MOVE, "sh"]
            .map(OsStr::new)
            .into_iter()
            .chain(groups)
            .chain([OsStr::new("--")])
            .collect()
    }
}

impl Drop for ControlGroups {
    fn drop(&mut self) {
        // Some processes of the machine may end a little later. What is left is empty and harmless.
        self.0.iter().for_each(|group| remove(group));
    }
}

/// Removes a control group and those below it. Each must be empty.
fn remove(group: &Path) {
    let below = std::fs::read_dir(group).into_iter().flatten().flatten();
    below
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .for_each(|entry| remove(&entry.path()));
    let _ = std::fs::remove_dir(group);
}
