//! What a maintenance works with: the record, the API, the machine, and the requests that arrive meanwhile.

use crate::aws::auto_scaling::AutoScalingGroups;
use crate::aws::instance_metadata::{Addresses, Identity};
use crate::aws::load_balancer::{CallError, LoadBalancer};
use crate::machine::ports::{Machine, Service, Stop};
use crate::machine::time::Moment;
use crate::maintenance::progress::Progress;
use crate::record::journal::{Journal, JournalError};
use crate::record::mailbox::Requests;
use crate::record::phase::{NoSuchWay, Phase};
use crate::record::{Failure, Finished, Operation, TurnedBack};
use rand::rngs::StdRng;
use std::sync::Arc;
use tokio::time::Instant;

/// Everything that a maintenance needs.
pub struct Driver {
    /// Where the record is kept.
    pub journal: Journal,
    /// The maintenance under way: as on record, with the changes of the running step.
    pub operation: Operation,
    /// This instance.
    pub identity: Identity,
    /// Reads its addresses again.
    pub addresses: Addresses,
    /// The API.
    pub load_balancer: LoadBalancer,
    /// The Auto Scaling API.
    pub auto_scaling: AutoScalingGroups,
    /// This machine.
    pub machine: Arc<dyn Machine>,
    /// The service on this machine.
    pub service: Arc<dyn Service>,
    /// Cancelled when this process should end.
    pub stop: Stop,
    /// The requests from clients; `None`: this driver takes none.
    pub requests: Option<Requests>,
    /// This driver is the unit, not the client's process: it outlives the client, and stays while halted or drained.
    pub stays: bool,
    /// Why to turn back, or to stop the command: a client has requested it.
    pub turn_back: Option<TurnedBack>,
    /// The progress line.
    pub progress: Progress,
    /// For jitter and nonces.
    pub random: StdRng,
    /// When our leases were last checked.
    pub lease_seen: Instant,
    /// When it was last checked that nothing of this node is registered while out.
    pub out_seen: Option<Instant>,
    /// When people were last told that the node is registered although it should be out.
    pub registered_told: Option<Instant>,
    /// Since when calls fail, if they do.
    pub failing: Option<Failing>,
    /// The last validation, if it still applies.
    pub validated: Option<Validated>,
}

/// The reads that permit a node to leave.
#[derive(Debug, Clone, Copy)]
pub struct Validated {
    /// When they began.
    pub began: Instant,
    /// How many times they have been made since the lease was acquired.
    pub times: u32,
}

/// Calls that go on failing.
#[derive(Debug, Clone, Copy)]
pub struct Failing {
    /// A permission is missing.
    pub denied: bool,
    /// Since when.
    pub since: Instant,
    /// When people were last told.
    pub told: Option<Instant>,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("operation", &self.operation).finish_non_exhaustive()
    }
}

/// How the driver ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Done, with its verdict.
    Finished(Finished),
    /// Halted, and why.
    Halted(String),
    /// Drained by hand, until `rejoin`.
    Drained,
    /// The SSM agent should reboot the machine and run the script again.
    RebootMe,
    /// Out of service, and the machine goes down: the next boot continues.
    GoingDown,
}

/// Why the driver cannot continue. The record on disk is as the last durable write left it.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The record cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The boot id cannot be read.
    #[error(
        "failed to read the boot id: {0}; set boot_id_path to a file whose content changes with each boot"
    )]
    BootId(#[from] std::io::Error),
    /// A stop was requested while a permission is missing.
    #[error("stopped in the middle of a maintenance: {0}; then run `node-agent resume`")]
    Denied(CallError),
    /// The record is in an impossible state.
    #[error(
        "failed to continue from the record: {0}; see `node-agent status --json` and bring the node back by hand"
    )]
    NoSuchWay(#[from] NoSuchWay),
}

/// Why a step did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// It cannot be done.
    #[error("{0}")]
    Failed(String),
    /// It cannot be done until a person changes the configuration.
    #[error("{0}")]
    Misconfigured(String),
    /// Not now.
    #[error("{0}")]
    Blocked(String),
    /// A stop was requested, or no client waits any more.
    #[error("{0}")]
    Cancelled(TurnedBack),
    /// End the process, so that the SSM agent reboots the machine.
    #[error("a reboot by the SSM agent")]
    RebootMe,
    /// The driver itself cannot continue.
    #[error(transparent)]
    Drive(#[from] DriveError),
}

impl From<JournalError> for StepError {
    fn from(error: JournalError) -> StepError {
        StepError::Drive(error.into())
    }
}

/// What a step returns.
pub type Step<T = ()> = Result<T, StepError>;

impl Driver {
    /// Notes why the maintenance does not succeed. Only the first reason is kept.
    pub(crate) fn fail(&mut self, phase: Phase, ended: &StepError) {
        let failure = Failure {
            phase,
            reason: format!("{phase}: {ended}"),
            configuration: matches!(ended, StepError::Misconfigured(_)),
            turned_back: if let StepError::Cancelled(why) = ended { Some(*why) } else { None },
        };
        self.operation.failure.get_or_insert(failure);
    }

    /// Writes the operation to the record, durably.
    pub(crate) fn save(&mut self) -> Result<(), DriveError> {
        self.journal.record.operation = Some(self.operation.clone());
        Ok(self.journal.save()?)
    }

    /// This moment.
    pub(crate) fn now(&self) -> Result<Moment, DriveError> {
        Ok(self.machine.now()?)
    }
}
