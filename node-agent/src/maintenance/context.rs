//! What a maintenance works with: the record, the way to the API, the machine, and what has been asked meanwhile.

use crate::aws::auto_scaling::AutoScalingGroups;
use crate::aws::instance_metadata::Identity;
use crate::aws::load_balancer::LoadBalancer;
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
    /// The maintenance under way, as it was last put on record or as the step at work has changed it since.
    pub operation: Operation,
    /// Who we are.
    pub identity: Identity,
    /// The API.
    pub load_balancer: LoadBalancer,
    /// The API of the Auto Scaling group that moves us, where that is chosen.
    pub auto_scaling: AutoScalingGroups,
    /// The machine that we run on.
    pub machine: Arc<dyn Machine>,
    /// The service that we take out.
    pub service: Arc<dyn Service>,
    /// Cancelled when this process is to end.
    pub stop: Stop,
    /// Where others leave what they ask of this driver; `None`: nobody can.
    pub requests: Option<Requests>,
    /// This process is not the one that was asked: it outlives those who wait for it, and stays while halted or drained.
    pub stays: bool,
    /// Why to turn back, or to stop the command: one of those who wait has asked for it.
    pub turn_back: Option<TurnedBack>,
    /// The line on the terminal.
    pub progress: Progress,
    /// For jitter and nonces.
    pub random: StdRng,
    /// When the lease was last seen to be there.
    pub lease_seen: Instant,
    /// When the load balancer was last seen to send us nothing.
    pub out_seen: Option<Instant>,
    /// When the reads began that let this node leave.
    pub validated: Option<Validated>,
}

/// The reads on which a node leaves.
#[derive(Debug, Clone, Copy)]
pub struct Validated {
    /// When they began.
    pub began: Instant,
    /// How often they have been made since the lease was acquired.
    pub times: u32,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("operation", &self.operation).finish_non_exhaustive()
    }
}

/// Where the driver stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Done; the verdict is in there.
    Finished(Finished),
    /// Halted, and why.
    Halted(String),
    /// Out by hand, until `rejoin`.
    Drained,
    /// The SSM agent is to reboot the machine and run us again.
    RebootMe,
    /// Out of service, and the machine goes down: the next boot goes on.
    GoingDown,
}

/// Why the driver cannot go on. The record on disk is as it was at the last durable write.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The record cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The boot id cannot be read.
    #[error("failed to read the boot id: {0}; set boot_id_path to a file that is new after each boot")]
    BootId(#[from] std::io::Error),
    /// The record asks for something that cannot be.
    #[error(
        "failed to go on from the record: {0}; look at it with `node-agent status --json` and bring the node back by hand"
    )]
    NoSuchWay(#[from] NoSuchWay),
}

/// Why a step did not end ok.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// It cannot be done.
    #[error("{0}")]
    Failed(String),
    /// It cannot be done until something outside changes that only a person changes.
    #[error("{0}")]
    Misconfigured(String),
    /// Not now.
    #[error("{0}")]
    Blocked(String),
    /// We were asked to stop, or nobody wants it any more.
    #[error("{0}")]
    Cancelled(TurnedBack),
    /// Leave, so that the SSM agent reboots the machine.
    #[error("a reboot by the SSM agent")]
    RebootMe,
    /// The driver itself cannot go on.
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
    /// Notes why the maintenance does not go as asked. The first reason is the one that counts.
    pub(crate) fn fail(&mut self, phase: Phase, ended: &StepError) {
        let failure = Failure {
            phase,
            reason: format!("{phase}: {ended}"),
            configuration: matches!(ended, StepError::Misconfigured(_)),
            turned_back: if let StepError::Cancelled(why) = ended { Some(*why) } else { None },
        };
        self.operation.failure.get_or_insert(failure);
    }

    /// Puts the operation on record, durably.
    pub(crate) fn save(&mut self) -> Result<(), DriveError> {
        self.journal.record.operation = Some(self.operation.clone());
        Ok(self.journal.save()?)
    }

    /// This moment.
    pub(crate) fn now(&self) -> Result<Moment, DriveError> {
        Ok(self.machine.now()?)
    }
}
