//! What others ask of the driver while it works, and whether anybody still wants what it does.

use crate::maintenance::context::{DriveError, Driver, Step, StepError};
use crate::record::mailbox::{Ask, Requests};
use crate::record::phase::Stage;
use crate::record::{Request, TurnedBack};
use std::time::Duration;

/// How often it listens while it waits.
pub(crate) const HEAR_EVERY: Duration = Duration::from_millis(500);

impl Driver {
    /// Takes what was asked since the last time. True when somebody wants this node back.
    pub(crate) fn hear(&mut self) -> Result<bool, DriveError> {
        let mut come_back = false;
        for ask in self.requests.as_ref().map(Requests::take).unwrap_or_default() {
            match ask {
                Ask::Begin(request) => self.hear_of_another(&request)?,
                Ask::ComeBack => {
                    come_back = true;
                    self.wanted_back();
                }
                Ask::Stop => {
                    tracing::warn!(
                        "asked to stop: turning back, or going on to the end if the machine may have changed"
                    );
                    self.turn_back = Some(TurnedBack::Stopped);
                }
            }
        }
        Ok(come_back)
    }

    /// Somebody wants the node back. A `drain` that has not come to its end turns back.
    pub(crate) fn wanted_back(&mut self) {
        let leaving = matches!(self.operation.phase.stage(), Stage::InService | Stage::Leaving);
        if self.operation.request.stay_out && leaving {
            tracing::warn!("asked to come back before the node has drained: turning back");
            self.turn_back = Some(TurnedBack::WantedBack);
        }
    }

    /// A request for the work under way ends with it; one for anything else has to wait for its turn.
    fn hear_of_another(&mut self, request: &Request) -> Result<(), DriveError> {
        if self.operation.answers(&request.id) {
            return Ok(());
        }
        if self.operation.may_be_joined_by(request) {
            tracing::info!("request {} asks for the same: it ends as this one does", request.id);
            self.operation.also.push(request.id.clone());
            return self.save();
        }
        if let Some(requests) = &self.requests {
            requests.refuse(&request.id, &self.operation.in_the_way(true));
        }
        Ok(())
    }

    /// Before the node has left, somebody has to wait for it, and its window must not be over.
    ///
    /// # Errors
    /// [`StepError::Cancelled`] otherwise.
    pub(crate) fn still_wanted(&self) -> Step {
        // Nobody turns back a machine that goes down.
        let may_turn_back = self.operation.phase.can_be_cancelled() && self.operation.going_down.is_none();
        let asked = self.turn_back.or(self.stop.is_cancelled().then_some(TurnedBack::Stopped));
        if let Some(why) = asked.filter(|_| may_turn_back) {
            return Err(StepError::Cancelled(why));
        }
        if self.operation.has_to_come_back() {
            return Ok(());
        }
        if self.operation.request.not_after.is_some_and(|limit| self.machine.utc() > limit) {
            return Err(StepError::Cancelled(TurnedBack::WindowOver));
        }
        if self.stays && self.requests.as_ref().is_some_and(|requests| !requests.is_waited_for()) {
            return Err(StepError::Cancelled(TurnedBack::AskerGone));
        }
        Ok(())
    }
}
