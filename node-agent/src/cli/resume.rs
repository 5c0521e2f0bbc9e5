//! `resume` and `rejoin`: go on from the record.

use super::{Complaint, follow, gather, lost, say, verdict, who};
use crate::driver::DriveError;
use crate::exit;
use crate::identity::Identity;
use crate::journal::{self, Journal};
use crate::phase::Phase;
use crate::progress::Progress;
use crate::record::Operation;
use crate::requests::Ask;
use crate::settings::Settings;
use crate::time::Moment;

/// Drives whatever is unfinished, or has the driver go on with it. Never takes a node out.
pub(super) async fn resume(settings: Settings, progress: &Progress) -> Result<u8, Complaint> {
    if let Some(operation) = on_record(&settings)? {
        if operation.stays_drained(&moment(&settings)?) {
            say("drained: out of service until `node-agent rejoin`\n");
            return Ok(exit::DONE);
        }
        // A drain under way is gone on with; it is `rejoin` that turns it back.
        let stays = matches!(operation.phase, Phase::Halted | Phase::Drained);
        let ask = stays.then_some(Ask::ComeBack);
        if let Some(code) = follow::go_on(&operation, ask, &settings, progress).await? {
            return Ok(code);
        }
    }
    let (mut journal, identity) = open(&settings).await?;
    let operation = match journal.record.operation.take() {
        Some(mut operation) => {
            operation.take_up(&moment(&settings)?);
            operation
        }
        None => match lost::find(&mut journal, &identity, &settings).await? {
            Some(operation) => operation,
            None => {
                say("nothing to resume\n");
                return Ok(exit::DONE);
            }
        },
    };
    drive(journal, operation, identity, progress).await
}

/// Brings back a node that was drained by hand, or that halted. With nothing to do that is what is said.
pub(super) async fn rejoin(settings: Settings, progress: &Progress) -> Result<u8, Complaint> {
    if let Some(operation) = on_record(&settings)?
        && let Some(code) = follow::go_on(&operation, Some(Ask::ComeBack), &settings, progress).await?
    {
        return Ok(code);
    }
    let (mut journal, identity) = open(&settings).await?;
    let Some(mut operation) = journal.record.operation.take() else {
        say("already so: this node has no maintenance to come back from\n");
        return Ok(exit::DONE);
    };
    operation.take_up(&moment(&settings)?);
    drive(journal, operation, identity, progress).await
}

fn on_record(settings: &Settings) -> Result<Option<Operation>, Complaint> {
    let record = journal::read(&settings.state_dir).map_err(gather::journal_complaint)?;
    Ok(record.and_then(|record| record.operation))
}

/// The settings of the maintenance on record.
pub(super) fn settings_on_record(where_to_look: &Settings) -> Option<Settings> {
    let operation = on_record(where_to_look).ok().flatten()?;
    Some(Settings { state_dir: where_to_look.state_dir.clone(), ..operation.request.settings })
}

async fn drive(
    journal: Journal,
    operation: Operation,
    identity: Identity,
    progress: &Progress,
) -> Result<u8, Complaint> {
    tracing::info!("going on with the maintenance begun {} at {}", operation.began.utc, operation.phase);
    let load_balancer = gather::load_balancer(&operation.request.settings, &journal.record.region).await;
    let driver = gather::driver(journal, operation, identity, load_balancer, progress)?;
    verdict::drive(driver).await
}

pub(super) async fn open(settings: &Settings) -> Result<(Journal, Identity), Complaint> {
    let opened = Journal::open(&settings.state_dir).map_err(gather::journal_complaint)?;
    let identity = who::who(settings, opened.found.as_ref(), &moment(settings)?).await?;
    let region = opened.found.as_ref().map(|found| found.region.clone()).unwrap_or_default();
    let journal = opened.for_instance(&identity.instance_id, &region).map_err(gather::journal_complaint)?;
    Ok((journal, identity))
}

pub(super) fn moment(settings: &Settings) -> Result<Moment, Complaint> {
    gather::machine(settings).now().map_err(|error| Complaint::new(exit::HALTED, DriveError::from(error)))
}

impl Operation {
    /// Out by hand, and for no longer than it may be.
    pub(super) fn stays_drained(&self, now: &Moment) -> bool {
        let limit = self.request.settings.drained_limit.0;
        self.phase == Phase::Drained && self.phase_began.at_least_until(now) < limit
    }
}
