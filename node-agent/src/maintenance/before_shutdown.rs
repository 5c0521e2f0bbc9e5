//! Before a shutdown that no maintenance requested: leave service and drain, with a lease if there is time for one.
//!
//! This runs the state machine of a maintenance as far as the drain. The next boot continues from the record.

use crate::machine::systemd::GoingDown;
use crate::machine::time::{Length, Moment};
use crate::maintenance::context::{DriveError, Driver, End};
use crate::maintenance::steps::check_group::join_other_groups;
use crate::record::phase::{Event, Stage};
use crate::record::{Operation, Request};
use crate::settings::Settings;

/// The part of `guard_wait` that is random, so that nodes that go down at the same time do not all give up at the same time.
const JITTER: f64 = 0.25;
/// How long to look for the groups to leave. Without an answer nothing can be done.
const FORCED_TRY: Length = Length::from_secs(60);

/// How an idle node leaves. Before a power-off it takes no lease, because it may never return to release it. Without the
/// time for a claim to settle, it does not try.
fn leaving(settings: &Settings, how: GoingDown, now: Moment) -> Operation {
    let too_short = settings.guard_wait.0 < settings.settle.0.saturating_mul(2);
    let forced = how == GoingDown::PowerOff || too_short;
    let wait = settings.guard_wait.0.mul_f64(1.0 - JITTER * rand::random::<f64>());
    let lease_wait = if forced { FORCED_TRY } else { Length(wait) };
    let settings = Settings { lease_wait, ..settings.clone() };
    let request = Request::new(format!("{:016x}", rand::random::<u64>()), settings);
    Operation { going_down: Some(how), forced, ..Operation::new(request, now) }
}

impl Driver {
    /// Drives until no request can reach this node, or until that has failed. An operation on record comes first.
    ///
    /// # Errors
    /// [`DriveError`] when the record cannot be kept.
    pub async fn leave_before(&mut self, how: GoingDown, settings: &Settings) -> Result<(), DriveError> {
        if self.operation.going_down.is_none() {
            let (phase, now) = (self.operation.phase, self.now()?);
            tracing::info!("the machine is going down while a maintenance is at {phase}");
            // No answer counts as no: a shutdown cannot wait for the API.
            let registered = phase.stage() == Stage::Out
                && (join_other_groups(self).await? | !self.glance_at_registrations().await?.is_empty());
            self.operation.apply_with_look(Event::GoesDown(how), registered, &now)?;
            if self.operation.phase.stage() == Stage::Out {
                return self.save();
            }
        }
        // An operation on record that has not left only releases its leases. Then the node leaves as an idle one does.
        let mut gave_back = self.operation.phase.stage() != Stage::InService;
        while let End::Finished(tried) = self.drive().await? {
            let now = self.now()?;
            if !gave_back && self.operation.forced {
                tracing::warn!(
                    "this node did not leave its target groups: {}",
                    tried.reason.unwrap_or_default()
                );
                return Ok(());
            }
            // A lease write without an answer stays on record: it binds the next try and is handled after the boot.
            let groups = std::mem::take(&mut self.operation.groups);
            self.operation = Operation { groups, ..leaving(settings, how, now) };
            self.validated = None;
            if !std::mem::take(&mut gave_back) {
                // The machine goes down with or without a lease.
                tracing::warn!("leaving without a lease: {}", tried.reason.unwrap_or_default());
                self.operation.forced = true;
                self.operation.request.settings.lease_wait = FORCED_TRY;
                // One shutdown is one entry: first the try with a lease, then the way without.
                self.journal.record.finished.pop();
                self.operation.history = tried.phases;
            }
        }
        Ok(())
    }
}

/// What to drive before the machine goes down: the operation on record, or else a new one that leaves.
pub fn begin(on_record: Option<Operation>, settings: &Settings, how: GoingDown, now: Moment) -> Operation {
    match on_record {
        // An earlier guard may have died during another shutdown.
        Some(unfinished) => Operation { going_down: None, ..unfinished },
        None => leaving(settings, how, now),
    }
}
