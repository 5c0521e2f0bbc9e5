//! A child process with its own process group and log file. Dropping it kills the group with SIGKILL.

use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    process::ExitStatus,
};

use anyhow::Context;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process_group, setrlimit};
use tokio::process::{Child, Command};

/// A child and everything that it started in its process group.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts `command` and appends its output to `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> io::Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        command.stdin(std::process::Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        command.spawn().map(Self)
    }

    /// Waits until the child itself has ended. Safe to cancel.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }

    /// Kills the whole group, as a power cut would, and waits until the child has ended.
    pub(crate) async fn kill(mut self) -> io::Result<()> {
        self.kill_group();
        self.0.wait().await.map(drop)
    }

    fn kill_group(&self) {
        // A child that was waited for has no id: the kernel may have given its number to another process.
        if let Some(group) = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            // Fails only if the whole group has already ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_group();
    }
}

/// The rehearsal's executable, which the nodes run.
pub(crate) fn this_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("failed to find the rehearsal's own executable")
}

/// Makes this child end with the rehearsal, even after a SIGKILL of the rehearsal. A child calls it first.
pub(crate) fn die_with_parent() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
}

/// Raises the limit of open files. A request takes three sockets in this process, including the load balancer's, so on a
/// slow machine requests would fail at the usual limit of 1,024.
pub(crate) fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // If this is refused, the usual limit applies.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for a condition; a hang is a failure.
    async fn until(condition: impl Fn() -> bool) {
        let wait = async {
            while !condition() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), wait).await.unwrap();
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn killing_reaches_what_the_child_has_started() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let process = Process::start(shell("sleep 600 & echo $!; wait"), &log).unwrap();
        let said = || std::fs::read_to_string(&log).unwrap().trim().parse::<i32>().ok();
        until(|| said().is_some()).await;
        let grandchild = Pid::from_raw(said().unwrap()).unwrap();
        process.kill().await.unwrap();
        // A grandchild that was killed but not yet reaped is a zombie, which counts as ended.
        let stat = format!("/proc/{}/stat", grandchild.as_raw_nonzero());
        until(|| !std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "))).await;
    }

    #[tokio::test]
    async fn what_it_prints_is_appended_to_the_log() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        for script in ["echo one", "echo two >&2; exit 3"] {
            Process::start(shell(script), &log).unwrap().wait().await.unwrap();
        }
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "one\ntwo\n");
    }
}
