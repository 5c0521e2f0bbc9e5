//! The driver: does the phase on record, puts its outcome on record, goes on to the next.

use crate::auto_scaling::AutoScalingGroups;
use crate::identity::Identity;
use crate::journal::{Journal, JournalError};
use crate::load_balancer::LoadBalancer;
use crate::phase::{Event, NoSuchWay, Outcome, Phase};
use crate::ports::{Machine, Service, Stop};
use crate::progress::Progress;
use crate::record::{Failure, Finished, Operation, PhaseRun, Verdict};
use crate::requests::Requests;
use crate::steps;
use crate::time::Moment;
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
    /// Becomes true when this process is to end.
    pub stop: Stop,
    /// Where others leave what they ask of this driver; `None`: nobody can.
    pub requests: Option<Requests>,
    /// This process is not the one that was asked: it outlives those who wait for it, and stays while halted or drained.
    pub stays: bool,
    /// Why to turn back, or to stop the command: one of those who wait has asked for it.
    pub turn_back: Option<&'static str>,
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
    Cancelled(String),
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
    /// Drives the operation until it is done, halted or drained.
    ///
    /// # Errors
    /// [`DriveError`] when the record cannot be kept; everything else is an outcome.
    pub async fn drive(&mut self) -> Result<End, DriveError> {
        self.save()?;
        loop {
            let phase = self.operation.phase;
            match phase {
                Phase::Done => return Ok(End::Finished(self.finish().await?)),
                Phase::Drained => return Ok(End::Drained),
                Phase::Halted => {
                    steps::halted::mark(self).await?;
                    let why = self.operation.why_halted();
                    self.notify("halted", &why).await;
                    return Ok(End::Halted(why));
                }
                _ => (),
            }
            tracing::info!(phase = phase.name(), "{phase} begins");
            self.progress.begin(phase.name());
            let ended = match steps::run(phase, self).await {
                Ok(()) => Ok(()),
                Err(StepError::Drive(error)) => return Err(error),
                Err(StepError::RebootMe) => return Ok(End::RebootMe),
                Err(error) => Err(error),
            };
            self.end_phase(phase, ended).await?;
            if self.operation.going_down.is_some() && self.operation.phase == phase {
                // The table keeps it here: the rest is for the next boot.
                return Ok(End::GoingDown);
            }
        }
    }

    /// Puts the outcome of a phase and the phase that follows on record, in one write.
    async fn end_phase(&mut self, phase: Phase, ended: Step) -> Result<(), DriveError> {
        let now = self.now()?;
        let (outcome, reason) = match &ended {
            Ok(()) => (Outcome::Ok, None),
            Err(StepError::Blocked(reason)) => (Outcome::Blocked, Some(reason.clone())),
            Err(error @ StepError::Cancelled(_)) => (Outcome::Cancelled, Some(error.to_string())),
            Err(error) => (Outcome::Failed, Some(error.to_string())),
        };
        let began = self.operation.phase_entered;
        let seconds = now.utc.duration_since(began).as_secs_f64().max(0.0);
        match &reason {
            None => tracing::info!(phase = phase.name(), seconds, "{phase} ended after {seconds:.1} s"),
            Some(why) => {
                tracing::warn!(phase = phase.name(), seconds, %outcome, "{phase} {outcome} after {seconds:.1} s: {why}");
            }
        }
        if let (Outcome::Failed | Outcome::Cancelled, Some(reason)) = (outcome, &reason) {
            let configuration = matches!(ended, Err(StepError::Misconfigured(_)));
            self.fail(phase, reason, configuration);
        }
        self.operation.history.push(PhaseRun { phase, outcome, began, seconds, reason });
        self.operation.meets(Event::Ended(outcome), &now)?;
        if self.operation.phase == Phase::CheckGroup {
            self.operation.blocked = self.operation.blocked.saturating_add(1);
            self.validated = None;
            // A lease is never held while blocked.
            self.give_back_all().await?;
        }
        if self.operation.phase != phase {
            // Giving back may have taken long.
            self.operation.phase_began = self.now()?;
        }
        self.save()
    }

    /// Notes why the maintenance does not go as asked. The first reason is the one that counts.
    pub(crate) fn fail(&mut self, phase: Phase, reason: &str, configuration: bool) {
        let failure = Failure { phase, reason: format!("{phase}: {reason}"), configuration };
        self.operation.failure.get_or_insert(failure);
    }

    async fn finish(&mut self) -> Result<Finished, DriveError> {
        let finished = self.journal.record.finish(&self.operation, self.machine.utc());
        self.journal.save()?;
        self.progress.end();
        if finished.verdict == Verdict::FailedButRestored {
            self.notify("failed", finished.reason.as_deref().unwrap_or_default()).await;
        }
        Ok(finished)
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
