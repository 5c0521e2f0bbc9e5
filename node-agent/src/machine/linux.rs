//! The machine, when it is a real one.

use crate::machine::ports::{CommandEnd, Machine, MachineError, Stop};
use async_trait::async_trait;
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use rustix::time::{ClockId, clock_gettime};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// How long `dnf needs-restarting` may take.
const RESTART_CHECK_LIMIT: Duration = Duration::from_secs(120);

/// How long the command that reboots may take; systemd answers in milliseconds.
const REBOOT_COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// How often to look whether a group that was told to end has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// This machine.
#[derive(Debug)]
pub struct Linux {
    /// A file whose content is new after each boot.
    pub boot_id_path: PathBuf,
    /// The command that reboots.
    pub reboot_command: Vec<String>,
}

#[async_trait]
impl Machine for Linux {
    fn boot_id(&self) -> io::Result<String> {
        let text = std::fs::read_to_string(&self.boot_id_path)?;
        Ok(text.trim().to_owned())
    }

    fn uptime(&self) -> Duration {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
    }

    fn utc(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn reboot(&self) -> Result<(), MachineError> {
        ask_to_reboot(&self.reboot_command, REBOOT_COMMAND_LIMIT).await
    }

    async fn run(
        &self,
        argv: &[String],
        limit: Duration,
        grace: Duration,
        mut stop: Stop,
    ) -> Result<CommandEnd, MachineError> {
        // A group of its own, so that whatever it starts can be ended with it.
        let child = command(argv)?.process_group(0).spawn();
        let mut child = child.map_err(|cause| error("run", argv, &cause.to_string()))?;
        let why = tokio::select! {
            status = child.wait() => return ended(argv, status),
            () = tokio::time::sleep(limit) => CommandEnd::TimedOut,
            _ = stop.wait_for(|asked| *asked) => CommandEnd::Stopped,
        };
        // Its leader may end and leave others of the group behind: the grace is for all of them.
        let group = group(&child);
        signal(group, Signal::TERM);
        let gone = async {
            let _ = child.wait().await;
            while group.is_some_and(|group| test_kill_process_group(group).is_ok()) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        if tokio::time::timeout(grace, gone).await.is_err() {
            signal(group, Signal::KILL);
            // A process that even SIGKILL does not end is stuck in the kernel; waiting for it would never end.
            let _ = tokio::time::timeout(grace, child.wait()).await;
        }
        Ok(why)
    }

    async fn tell(&self, argv: &[String], message: &str, limit: Duration) -> Result<(), MachineError> {
        let failed = |cause: String| error("notify with", argv, &cause);
        let mut command = command(argv)?;
        let command = command.stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
        let mut child = command.spawn().map_err(|cause| failed(cause.to_string()))?;
        let group = group(&child);
        let mut input = child.stdin.take();
        let told = async {
            if let Some(mut input) = input.take() {
                // A program that does not read what it is told closes its end; how it ends is what counts.
                let _ = input.write_all(message.as_bytes()).await;
            }
            child.wait().await
        };
        match tokio::time::timeout(limit, told).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(failed(status.to_string())),
            Ok(Err(cause)) => Err(failed(cause.to_string())),
            Err(_) => {
                signal(group, Signal::KILL);
                Err(failed(format!("it took longer than {} s and was stopped", limit.as_secs())))
            }
        }
    }

    async fn reboot_required(&self) -> bool {
        if ["/run/reboot-required", "/var/run/reboot-required"].iter().any(|path| Path::new(path).exists()) {
            return true;
        }
        // Exit code 1 means yes, 0 no. Anything else means that the tool failed; then a reboot is the safe answer.
        let argv = ["dnf", "needs-restarting", "-r"].map(str::to_owned);
        let Ok(mut dnf) = command(&argv) else { return false };
        let status = dnf.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        match tokio::time::timeout(RESTART_CHECK_LIMIT, status).await {
            Ok(Ok(status)) => status.code() != Some(0),
            // Neither marker nor dnf: a system that says nothing (Debian without pending updates).
            Ok(Err(cause)) => cause.kind() != io::ErrorKind::NotFound,
            Err(_) => true,
        }
    }
}

/// A command that does not end, or that the shutdown itself ended, has asked: whether the machine goes down is what the
/// caller waits for. It is left running, as stopping it might stop the reboot half-way.
async fn ask_to_reboot(argv: &[String], limit: Duration) -> Result<(), MachineError> {
    let failed = |cause: String| error("reboot with", argv, &cause);
    let mut asking = command(argv)?.spawn().map_err(|cause| failed(cause.to_string()))?;
    match tokio::time::timeout(limit, asking.wait()).await {
        Ok(Ok(status)) if status.success() || status.signal().is_some() => Ok(()),
        Ok(Ok(status)) => Err(failed(status.to_string())),
        Ok(Err(cause)) => Err(failed(cause.to_string())),
        Err(_) => {
            tracing::warn!("`{}` has not ended after {} s", argv.join(" "), limit.as_secs());
            Ok(())
        }
    }
}

fn command(argv: &[String]) -> Result<Command, MachineError> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(error("run", argv, "the command is empty"));
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    Ok(command)
}

fn error(what: &str, argv: &[String], cause: &str) -> MachineError {
    MachineError { what: format!("{what} `{}`", argv.join(" ")), cause: cause.to_owned() }
}

fn ended(argv: &[String], status: io::Result<ExitStatus>) -> Result<CommandEnd, MachineError> {
    let status = status.map_err(|cause| error("wait for", argv, &cause.to_string()))?;
    Ok(match status.code() {
        Some(code) => CommandEnd::Exited(code),
        None => CommandEnd::Killed(status.signal().unwrap_or(0)),
    })
}

/// The group that a process leads, while nobody has seen its end.
fn group(leader: &Child) -> Option<Pid> {
    leader.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
}

fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // It may have ended this very moment; there is nobody left to signal then.
        let _ = kill_process_group(group, signal);
    }
}

#[cfg(test)]
mod tests;
