//! Requests that arrive while the driver works, and whether a client still waits for the maintenance.

use crate::maintenance::context::{DriveError, Driver, Step, StepError};
use crate::record::mailbox::{Ask, Requests};
use crate::record::phase::Stage;
use crate::record::{Request, TurnedBack};
use std::time::Duration;

/// How often requests are taken during a wait.
pub(crate) const TAKE_REQUESTS_EVERY: Duration = Duration::from_millis(500);

impl Driver {
    /// Takes the requests that have arrived. True when a client wants the node back.
    pub(crate) fn take_requests(&mut self) -> Result<bool, DriveError> {
        let mut come_back = false;
        for ask in self.requests.as_ref().map(Requests::take).unwrap_or_default() {
            match ask {
                Ask::Begin(request) => self.join_or_refuse(&request)?,
                Ask::ComeBack => {
                    come_back = true;
                    self.wanted_back();
                }
                Ask::Stop => {
                    tracing::warn!(
                        "stop requested: returning to service, or finishing if the machine was already changed"
                    );
                    self.turn_back = Some(TurnedBack::Stopped);
                }
            }
        }
        Ok(come_back)
    }

    /// A client wants the node back. A `drain` that is not complete turns back.
    pub(crate) fn wanted_back(&mut self) {
        let leaving = matches!(self.operation.phase.stage(), Stage::InService | Stage::Leaving);
        if self.operation.request.stay_out && leaving {
            tracing::warn!("rejoin requested before the node has drained: returning to service");
            self.turn_back = Some(TurnedBack::WantedBack);
        }
    }

    /// A request for the work under way joins it; any other is refused.
    fn join_or_refuse(&mut self, request: &Request) -> Result<(), DriveError> {
        if self.operation.answers(&request.id) {
            return Ok(());
        }
        if self.operation.may_be_joined_by(request) {
            tracing::info!("request {} is for this work and joins it", request.id);
            self.operation.also.push(request.id.clone());
            return self.save();
        }
        if let Some(requests) = &self.requests {
            requests.refuse(&request.id, &self.operation.in_the_way(true));
        }
        Ok(())
    }

    /// Whether to continue. Before the node has left, a client has to wait for the maintenance, and its window must not be
    /// over.
    ///
    /// # Errors
    /// [`StepError::Cancelled`] when it should turn back.
    pub(crate) fn still_wanted(&self) -> Step {
        // Before a shutdown there is no way back.
        let may_turn_back = self.operation.phase.can_be_cancelled() && self.operation.going_down.is_none();
        let asked = self.turn_back.or(self.stop.is_cancelled().then_some(TurnedBack::Stopped));
        if let Some(why) = asked.filter(|_| may_turn_back) {
            return Err(StepError::Cancelled(why));
        }
        if self.operation.has_to_come_back() {
            return Ok(());
        }
        self.may_still_leave()
    }

    /// Whether the node may still be taken out: the window is open, and a client waits for it.
    ///
    /// # Errors
    /// [`StepError::Cancelled`] when it should stay, or come back.
    pub(crate) fn may_still_leave(&self) -> Step {
        if self.operation.request.not_after.is_some_and(|limit| self.machine.utc() > limit) {
            return Err(StepError::Cancelled(TurnedBack::WindowOver));
        }
        if self.stays && self.requests.as_ref().is_some_and(|requests| !requests.is_waited_for()) {
            return Err(StepError::Cancelled(TurnedBack::AskerGone));
        }
        Ok(())
    }
}
