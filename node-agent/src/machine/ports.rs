//! What the driver needs from its machine, as traits, so that a test can replace it.

use crate::machine::reboot_required::RebootRequired;
use crate::machine::time::Moment;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::io;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The machine: its clock, its boots, its commands.
#[async_trait]
pub trait Machine: Send + Sync {
    /// An id that is different for each boot.
    fn boot_id(&self) -> io::Result<String>;

    /// Time since boot, suspended time included.
    fn uptime(&self) -> Duration;

    /// The wall clock, for people.
    fn utc(&self) -> Timestamp;

    /// Requests a reboot and returns; the machine goes down some time later.
    async fn reboot(&self) -> Result<(), MachineError>;

    /// Runs a command to its end. When `stop` becomes true, or after `limit`, it gets SIGTERM; after `grace` its whole
    /// process group gets SIGKILL. In a scope, if one is named and systemd is there, what it leaves running outlives this
    /// process.
    async fn run(
        &self,
        command: &[String],
        scope: Option<&str>,
        limit: Duration,
        grace: Duration,
        stop: Stop,
    ) -> Result<CommandEnded, MachineError>;

    /// Stops everything that still runs in a scope.
    async fn end_scope(&self, scope: &str);

    /// Runs a command with a message on standard input, and stops it after `limit`.
    async fn tell(&self, command: &[String], message: &str, limit: Duration) -> Result<(), MachineError>;

    /// Whether the operating system requires a reboot.
    async fn reboot_required(&self) -> RebootRequired;

    /// The command as it would be typed, if its program does not exist.
    fn lacks(&self, command: &[String]) -> Option<String>;

    /// When the machine is to go down, if that is scheduled.
    fn scheduled_shutdown(&self) -> Option<Timestamp>;
}

/// A shutdown that is scheduled later than this may still be cancelled or moved.
const SOON: SignedDuration = SignedDuration::from_mins(5);
/// A shutdown that is overdue by more than this does not come.
const OVERDUE: SignedDuration = SignedDuration::from_mins(1);

impl dyn Machine {
    /// This moment.
    ///
    /// # Errors
    /// When the boot id cannot be read.
    pub fn now(&self) -> io::Result<Moment> {
        let uptime_ms = u64::try_from(self.uptime().as_millis()).unwrap_or(u64::MAX);
        Ok(Moment { boot_id: self.boot_id()?, uptime_ms, utc: self.utc() })
    }

    /// When the machine is to go down, if that is scheduled and within the next 5 minutes.
    pub fn shuts_down_soon(&self) -> Option<Timestamp> {
        let at = self.scheduled_shutdown()?;
        let left = at.duration_since(self.utc());
        (-OVERDUE <= left && left <= SOON).then_some(at)
    }
}

/// A command that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandEnded {
    /// How.
    pub how: CommandEnd,
    /// The last lines of its output; empty if it wrote none, or wrote to a terminal.
    pub last_lines: String,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandEnd {
    /// With an exit code.
    Exited(i32),
    /// By a signal that we did not send.
    Killed(i32),
    /// We stopped it on request.
    Stopped,
    /// We stopped it at its time limit.
    TimedOut,
}

impl fmt::Display for CommandEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandEnd::Exited(code) => write!(f, "exited with {code}"),
            CommandEnd::Killed(signal) => write!(f, "was killed by signal {signal}"),
            CommandEnd::Stopped => f.write_str("was stopped"),
            CommandEnd::TimedOut => f.write_str("timed out and was stopped"),
        }
    }
}

/// An operation of the machine that failed.
#[derive(Debug, thiserror::Error)]
#[error("failed to {what}: {cause}")]
pub struct MachineError {
    /// What was tried.
    pub what: String,
    /// Why not.
    pub cause: String,
}

/// Cancelled once a stop was requested.
pub type Stop = CancellationToken;

/// One health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Where.
    pub url: String,
    /// The `Host` header, if it is not what the URL says.
    pub host: Option<String>,
    /// How long the answer may take.
    pub timeout: Duration,
}

/// The service on this node, as the load balancer sees it.
#[async_trait]
pub trait Service: Send + Sync {
    /// Makes one health check and returns the HTTP status.
    async fn probe(&self, probe: &Probe) -> Result<u16, ServiceError>;

    /// Returns the number of requests in flight.
    async fn in_flight(&self, url: &str) -> Result<u64, ServiceError>;
}

/// Why a request to the service failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ServiceError(pub String);
