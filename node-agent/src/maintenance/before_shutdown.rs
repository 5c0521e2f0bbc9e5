//! The machine goes down by somebody else's will: leave and drain first, with a lease if there is time for one.
//!
//! It is the same state machine as a maintenance, driven as far as the drain; the next boot goes on from the record.

use crate::aws::target_group::TargetHealth;
use crate::machine::systemd::GoingDown;
use crate::machine::time::{Length, Moment};
use crate::maintenance::context::{DriveError, Driver, End};
use crate::record::phase::{Event, Stage};
use crate::record::{Operation, Request};
use crate::settings::Settings;

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

impl Driver {
    /// Drives until no request can reach this node, or until there is no way to bring that about. What is on record goes
    /// first.
    ///
    /// # Errors
    /// [`DriveError`] when the record cannot be kept.
    pub async fn leave_before(&mut self, how: GoingDown, settings: &Settings) -> Result<(), DriveError> {
        if self.operation.going_down.is_none() {
            let (phase, now) = (self.operation.phase, self.now()?);
            tracing::info!("the machine goes down while a maintenance is at {phase}");
            let registered = phase.stage() == Stage::Out && self.is_registered().await;
            self.operation.apply_with_look(Event::GoesDown(how), registered, &now)?;
            if self.operation.phase.stage() == Stage::Out {
                return self.save();
            }
        }
        // What was on record and had not left is only given back; the leaving begins after it.
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
            // A lease write without an answer binds the next try, and is looked after at the boot.
            let groups = std::mem::take(&mut self.operation.groups);
            self.operation = Operation { groups, ..leaving(settings, how, now) };
            self.validated = None;
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

    /// Whether a pair of ours is registered in any group, for a guard that has one look. No answer counts as no: a shutdown
    /// does not wait for what may never come.
    async fn is_registered(&self) -> bool {
        for group in self.operation.live_groups() {
            let states = self.load_balancer.target_health_of(&group.arn, &group.pairs).await;
            if states.is_ok_and(|states| {
                states.iter().any(|state| state.is_registered() && state.health != TargetHealth::Unknown)
            }) {
                return true;
            }
        }
        false
    }
}

/// What to drive before the machine goes down: the maintenance on record, or else a leaving of its own.
pub fn begin(on_record: Option<Operation>, settings: &Settings, how: GoingDown, now: Moment) -> Operation {
    match on_record {
        // A guard before this one has died half-way, and this is another shutdown.
        Some(unfinished) => Operation { going_down: None, ..unfinished },
        None => leaving(settings, how, now),
    }
}
