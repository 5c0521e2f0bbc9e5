//! `resume` and `rejoin`: go on from the record.

use super::{Complaint, gather, lost, say, verdict, who};
use crate::driver::DriveError;
use crate::exit;
use crate::identity::Identity;
use crate::journal::Journal;
use crate::phase::Phase;
use crate::progress::Progress;
use crate::record::Operation;
use crate::settings::Settings;

/// Drives whatever is unfinished. At boot this brings a node back; it never takes one out.
pub(super) async fn resume(settings: Settings, progress: &Progress) -> Result<u8, Complaint> {
    let (journal, identity) = open(&settings).await?;
    let now = moment(&settings)?;
    match &journal.record.operation {
        None => lost::come_back(journal, identity, &now, &settings, progress).await,
        Some(operation) if operation.phase == Phase::Drained && !operation.overdue(&now) => {
            say("drained: out of service until `node-agent rejoin`\n");
            Ok(exit::DONE)
        }
        Some(_) => go_on(journal, identity, &settings, progress).await,
    }
}

/// Brings back a node that was drained by hand, or that halted. With nothing to do that is what is said.
pub(super) async fn rejoin(settings: Settings, progress: &Progress) -> Result<u8, Complaint> {
    let (journal, identity) = open(&settings).await?;
    match &journal.record.operation {
        None => {
            say("already so: this node has no maintenance to come back from\n");
            Ok(exit::DONE)
        }
        Some(_) => go_on(journal, identity, &settings, progress).await,
    }
}

pub(super) async fn open(settings: &Settings) -> Result<(Journal, Identity), Complaint> {
    let opened = Journal::open(&settings.state_dir).map_err(gather::journal_complaint)?;
    let identity = who::who(settings, opened.found.as_ref(), &moment(settings)?).await?;
    let region = opened.found.as_ref().map(|found| found.region.clone()).unwrap_or_default();
    let journal = opened.for_instance(&identity.instance_id, &region).map_err(gather::journal_complaint)?;
    Ok((journal, identity))
}

async fn go_on(
    mut journal: Journal,
    identity: Identity,
    settings: &Settings,
    progress: &Progress,
) -> Result<u8, Complaint> {
    let now = moment(settings)?;
    let Some(mut operation) = journal.record.operation.take() else { return Ok(exit::DONE) };
    operation.take_up(&now);
    tracing::info!("going on with the maintenance begun {} at {}", operation.began.utc, operation.phase);
    let load_balancer = gather::load_balancer(&operation.request.settings, &journal.record.region).await;
    let driver = gather::driver(journal, operation, identity, load_balancer, progress)?;
    verdict::drive(driver).await
}

fn moment(settings: &Settings) -> Result<crate::time::Moment, Complaint> {
    gather::machine(settings).now().map_err(|error| Complaint::new(exit::HALTED, DriveError::from(error)))
}

impl Operation {
    fn overdue(&self, now: &crate::time::Moment) -> bool {
        self.phase_began.at_least_until(now) >= self.request.settings.drained_limit.0
    }
}
