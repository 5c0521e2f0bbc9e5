//! The machine goes down by somebody else's will: leave and drain first, with a lease if there is time for one.
//!
//! It is the same state machine as a maintenance, driven as far as the drain; the next boot goes on from the record.

use crate::driver::{DriveError, Driver, End};
use crate::phase::Phase;
use crate::record::{GoingDown, Operation, Remains, Request};
use crate::settings::Settings;
use crate::time::{Length, Moment};

/// How long a machine that reboots tries for the lease before it leaves without.
const LEASE_TRY: Length = Length::from_secs(20);
/// How long it tries to find out where it has to leave: without an answer there is nothing to be done.
const FORCED_TRY: Length = Length::from_secs(60);

/// How an idle node leaves: a machine that is switched off asks for no lease, since nobody may be there to give it back.
fn leaving(settings: &Settings, how: GoingDown, now: Moment) -> Operation {
    let forced = how == GoingDown::PowerOff;
    let settings = Settings { lease_wait: if forced { FORCED_TRY } else { LEASE_TRY }, ..settings.clone() };
    let request = Request::new(format!("{:016x}", rand::random::<u64>()), settings);
    Operation { going_down: Some(how), forced, ..Operation::new(request, now) }
}

/// What to drive, given what is on record; `None`: no request can reach this node, there is nothing to do.
pub fn begin(
    on_record: Option<Operation>,
    settings: &Settings,
    how: GoingDown,
    now: Moment,
) -> Option<Operation> {
    let Some(mut unfinished) = on_record else { return Some(leaving(settings, how, now)) };
    tracing::info!("the machine goes down while a maintenance is at {}", unfinished.phase);
    match unfinished.remains() {
        Remains::Nothing => return None,
        Remains::GiveBack => {
            unfinished.take_up(&now);
            unfinished.going_down = Some(how);
        }
        Remains::Drain | Remains::LeaveAgain => unfinished.goes_down(how, now),
    }
    Some(unfinished)
}

impl Driver {
    /// Drives until no request can reach this node, or until there is no way to bring that about.
    ///
    /// # Errors
    /// [`DriveError`] when the record cannot be kept.
    pub async fn leave_before(&mut self, how: GoingDown, settings: &Settings) -> Result<(), DriveError> {
        // What was on record and had not left is only given back; the leaving begins after it.
        let mut gave_back = !self.operation.out && self.operation.phase != Phase::CheckGroup;
        while let End::Finished(tried) = self.drive().await? {
            let now = self.now()?;
            if !gave_back && self.operation.forced {
                tracing::warn!(
                    "this node did not leave its target groups: {}",
                    tried.reason.unwrap_or_default()
                );
                return Ok(());
            }
            // A lease write without an answer binds the next try, and is looked after at the boot.
            let groups = std::mem::take(&mut self.operation.groups);
            self.operation = Operation { groups, ..leaving(settings, how, now) };
            if !std::mem::take(&mut gave_back) {
                // The lease is for others' sake; the machine goes down with or without it.
                tracing::warn!("leaving without a lease: {}", tried.reason.unwrap_or_default());
                self.operation.forced = true;
                self.operation.request.settings.lease_wait = FORCED_TRY;
                // One shutdown, one entry: how the try ended, and then how it went without.
                self.journal.record.finished.pop();
                self.operation.history = tried.phases;
            }
        }
        Ok(())
    }
}
