//! The real machine.

use crate::machine::output::Output;
use crate::machine::ports::{CommandEnd, CommandEnded, Machine, MachineError, Stop};
use crate::machine::program::{self, named};
use crate::machine::reboot_required::{self, RebootRequired};
use crate::machine::systemd;
use async_trait::async_trait;
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use std::fmt::Display;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// How long the command that reboots may take; systemd answers in milliseconds.
const REBOOT_COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// This machine.
#[derive(Debug)]
pub struct Linux {
    /// A file whose content changes with each boot.
    pub boot_id_path: PathBuf,
    /// The command that reboots the machine.
    pub reboot_command: Vec<String>,
    /// The user's own command that tells whether a reboot is required; empty: none.
    pub reboot_required_command: Vec<String>,
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
        scope: Option<&str>,
        limit: Duration,
        grace: Duration,
        stop: Stop,
    ) -> Result<CommandEnded, MachineError> {
        let failed = |cause| error("run", argv, cause);
        let scope = scope.filter(|_| systemd::is_running());
        let mut command =
            program::command(&scope.map_or_else(|| argv.to_vec(), |scope| systemd::in_scope(scope, argv)));
        if std::env::var_os("HOME").is_none() {
            // systemd gives a service of root none, and many tools do not work without.
            command.env("HOME", "/root");
        }
        let output = Output::of(&mut command).map_err(failed)?;
        let mut child = command.spawn().map_err(failed)?;
        // It holds the output open.
        drop(command);
        let how = tokio::select! {
            status = child.wait() => ended(argv, status)?,
            () = tokio::time::sleep(limit) => CommandEnd::TimedOut,
            () = stop.cancelled() => CommandEnd::Stopped,
        };
        if matches!(how, CommandEnd::TimedOut | CommandEnd::Stopped) {
            program::stop(&mut child, grace).await;
            if let Some(scope) = scope {
                // What has left the process group.
                self.end_scope(scope).await;
            }
        }
        let last_lines = match output {
            Some(output) => output.last_lines().await,
            None => String::new(),
        };
        Ok(CommandEnded { how, last_lines })
    }

    async fn end_scope(&self, scope: &str) {
        systemd::end_scope(scope).await;
    }

    async fn tell(&self, argv: &[String], message: &str, limit: Duration) -> Result<(), MachineError> {
        program::succeeds(argv, message, limit).await.map_err(|cause| error("notify with", argv, cause))
    }

    async fn reboot_required(&self) -> RebootRequired {
        reboot_required::ask(&self.reboot_required_command).await
    }

    fn lacks(&self, argv: &[String]) -> Option<String> {
        let name = argv.first()?;
        (!program::exists(name)).then(|| named(argv).to_owned())
    }

    fn scheduled_shutdown(&self) -> Option<Timestamp> {
        systemd::scheduled_shutdown()
    }
}

/// Runs the reboot command. A command that does not end, or that the shutdown ends, counts as successful: the caller waits
/// for the machine to go down. The command is left running, because stopping it might interrupt the reboot.
async fn ask_to_reboot(argv: &[String], limit: Duration) -> Result<(), MachineError> {
    let failed = |cause: &dyn Display| error("reboot with", argv, cause);
    let mut command = program::command(argv);
    let output = Output::of(&mut command).map_err(|cause| failed(&cause))?;
    let mut asking = command.spawn().map_err(|cause| failed(&cause))?;
    drop(command);
    let Ok(ended) = tokio::time::timeout(limit, asking.wait()).await else {
        tracing::warn!("`{}` has not ended after {} s", named(argv), limit.as_secs());
        return Ok(());
    };
    let status = ended.map_err(|cause| failed(&cause))?;
    if status.success() || status.signal().is_some() {
        return Ok(());
    }
    // Such as who holds an inhibitor, and why.
    let said = match output {
        Some(output) => output.last_lines().await,
        None => String::new(),
    };
    Err(failed(&if said.is_empty() { status.to_string() } else { format!("{status}: {said}") }))
}

fn error(what: &str, argv: &[String], cause: impl Display) -> MachineError {
    MachineError { what: format!("{what} `{}`", named(argv)), cause: cause.to_string() }
}

fn ended(argv: &[String], status: io::Result<ExitStatus>) -> Result<CommandEnd, MachineError> {
    let status = status.map_err(|cause| error("wait for", argv, cause))?;
    Ok(match status.code() {
        Some(code) => CommandEnd::Exited(code),
        None => CommandEnd::Killed(status.signal().unwrap_or(0)),
    })
}

#[cfg(test)]
mod tests;
