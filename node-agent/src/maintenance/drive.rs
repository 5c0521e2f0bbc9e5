//! The loop: runs the phase on record, then writes its outcome and the next phase to the record, and so on.

use crate::maintenance::context::{DriveError, Driver, End, Step, StepError};
use crate::maintenance::steps;
use crate::record::phase::{Event, Outcome, Phase};
use crate::record::{Finished, PhaseRun, Verdict};

impl Driver {
    /// Drives the operation until it is done, halted or drained.
    ///
    /// # Errors
    /// [`DriveError`] when the record cannot be kept; everything else is an outcome.
    pub async fn drive(&mut self) -> Result<End, DriveError> {
        self.save()?;
        self.end_cut_off_command().await?;
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
            tracing::info!(phase = phase.name(), "{phase} started");
            self.progress.begin(phase.name());
            let ended = match steps::run(phase, self).await {
                Ok(()) => Ok(()),
                Err(StepError::Drive(error)) => return Err(error),
                Err(StepError::RebootMe) => return Ok(End::RebootMe),
                Err(error) => Err(error),
            };
            self.end_phase(phase, ended).await?;
            if self.operation.going_down.is_some() && self.operation.phase == phase {
                // The next boot continues from this phase.
                return Ok(End::GoingDown);
            }
        }
    }

    /// A command whose driver has died must not go on while the node comes back.
    async fn end_cut_off_command(&mut self) -> Result<(), DriveError> {
        let Some(scope) = self.operation.scope.take() else { return Ok(()) };
        tracing::warn!("the driver died while the command ran: stopping what is left of it, in {scope}");
        self.machine.end_scope(&scope).await;
        self.save()
    }

    /// Writes the outcome of a phase and the next phase to the record, in one write.
    async fn end_phase(&mut self, phase: Phase, ended: Step) -> Result<(), DriveError> {
        let now = self.now()?;
        let outcome = match &ended {
            Ok(()) => Outcome::Ok,
            Err(StepError::Blocked(_)) => Outcome::Blocked,
            Err(StepError::Cancelled(_)) => Outcome::Cancelled,
            Err(_) => Outcome::Failed,
        };
        let reason = ended.as_ref().err().map(ToString::to_string);
        let began = self.operation.phase_entered;
        let seconds = now.utc.duration_since(began).as_secs_f64().max(0.0);
        match &reason {
            None => tracing::info!(phase = phase.name(), seconds, "{phase} ended after {seconds:.1} s"),
            Some(why) => {
                tracing::warn!(phase = phase.name(), seconds, %outcome, "{phase} {outcome} after {seconds:.1} s: {why}");
            }
        }
        if let Err(error) = &ended
            && outcome != Outcome::Blocked
        {
            self.fail(phase, error);
        }
        self.failing = None;
        self.operation.history.push(PhaseRun { phase, outcome, began, seconds, reason });
        self.operation.apply(Event::Ended(outcome), &now)?;
        if self.operation.phase == Phase::CheckGroup {
            self.operation.blocked = self.operation.blocked.saturating_add(1);
            self.validated = None;
            // A blocked node holds no lease.
            self.release_all().await?;
        }
        if self.operation.phase != phase {
            // The release may have taken long.
            self.operation.phase_began = self.now()?;
        }
        self.save()
    }

    async fn finish(&mut self) -> Result<Finished, DriveError> {
        let finished = self.journal.record.finish(&self.operation, self.machine.utc());
        self.journal.save()?;
        self.progress.end();
        if matches!(finished.verdict, Verdict::FailedButRestored | Verdict::GroupsDeleted) {
            self.notify("failed", finished.reason.as_deref().unwrap_or_default()).await;
        }
        Ok(finished)
    }
}
