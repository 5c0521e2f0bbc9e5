//! What the driver needs of the machine that it runs on, as traits, so that a test can be the machine.

use crate::machine::time::Moment;
use async_trait::async_trait;
use jiff::Timestamp;
use std::fmt;
use std::io;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The machine: its clock, its boots, its commands.
#[async_trait]
pub trait Machine: Send + Sync {
    /// What tells this boot from every other.
    fn boot_id(&self) -> io::Result<String>;

    /// Time since boot, suspended time included.
    fn uptime(&self) -> Duration;

    /// The wall clock, for people.
    fn utc(&self) -> Timestamp;

    /// Asks for a reboot and returns; the machine goes down some time later.
    async fn reboot(&self) -> Result<(), MachineError>;

    /// Runs a command to its end. When `stop` says so, or when `limit` has passed, it gets SIGTERM, then after `grace`
    /// its whole process group gets SIGKILL.
    async fn run(
        &self,
        command: &[String],
        limit: Duration,
        grace: Duration,
        stop: Stop,
    ) -> Result<CommandEnd, MachineError>;

    /// Runs a command that is told something on standard input, and ends it after `limit`.
    async fn tell(&self, command: &[String], message: &str, limit: Duration) -> Result<(), MachineError>;

    /// Whether the operating system asks for a reboot.
    async fn reboot_required(&self) -> bool;
}

impl dyn Machine {
    /// This moment.
    ///
    /// # Errors
    /// When the boot id cannot be read.
    pub fn now(&self) -> io::Result<Moment> {
        let uptime_ms = u64::try_from(self.uptime().as_millis()).unwrap_or(u64::MAX);
        Ok(Moment { boot_id: self.boot_id()?, uptime_ms, utc: self.utc() })
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandEnd {
    /// With an exit code.
    Exited(i32),
    /// By a signal that was not ours.
    Killed(i32),
    /// We stopped it: asked to.
    Stopped,
    /// We stopped it: its time was up.
    TimedOut,
}

impl fmt::Display for CommandEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandEnd::Exited(code) => write!(f, "exited with {code}"),
            CommandEnd::Killed(signal) => write!(f, "was killed by signal {signal}"),
            CommandEnd::Stopped => f.write_str("was stopped"),
            CommandEnd::TimedOut => f.write_str("took too long and was stopped"),
        }
    }
}

/// What the machine could not do.
#[derive(Debug, thiserror::Error)]
#[error("failed to {what}: {cause}")]
pub struct MachineError {
    /// What was tried.
    pub what: String,
    /// Why not.
    pub cause: String,
}

/// Says when to stop: cancelled once somebody asked.
pub type Stop = CancellationToken;

/// The service on this node, as the load balancer would see it.
#[async_trait]
pub trait Service: Send + Sync {
    /// Makes one health check and returns the HTTP status.
    async fn probe(&self, url: &str, timeout: Duration) -> Result<u16, ServiceError>;

    /// Asks for the number of requests in flight.
    async fn in_flight(&self, url: &str) -> Result<u64, ServiceError>;
}

/// Why the service did not answer as it should.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ServiceError(pub String);
