//! Nothing is on record: is there a lease of ours all the same?

use super::{Complaint, gather, say, verdict};
use crate::exit;
use crate::identity::Identity;
use crate::journal::Journal;
use crate::lost_record::{Known, LostRecordError, find};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::time::Moment;

/// Comes back if so. With a record that says "idle" this is a precaution, and its failure no reason to worry anybody.
pub(super) async fn come_back(
    mut journal: Journal,
    identity: Identity,
    now: &Moment,
    settings: &Settings,
    progress: &Progress,
) -> Result<u8, Complaint> {
    let record_missing = journal.is_new();
    let looked = look(&identity, now, settings, record_missing).await;
    let found = match looked {
        Err(complaint) if !record_missing => {
            tracing::warn!("did not look for a lease of ours: {:#}", complaint.error);
            None
        }
        found => found?,
    };
    let Some((region, found)) = found else {
        say("nothing to resume\n");
        return Ok(exit::DONE);
    };
    journal.record.region.clone_from(&region);
    let Some(operation) = found else {
        // From now on there is a record.
        journal.save().map_err(gather::journal_complaint)?;
        say("nothing to resume\n");
        return Ok(exit::DONE);
    };
    tracing::warn!("this node has a lease that is not on record: coming back with it");
    let load_balancer = gather::load_balancer(settings, &region).await;
    let driver = gather::driver(journal, operation, identity, load_balancer, progress)?;
    verdict::drive(driver).await
}

type Looked = Option<(String, Option<crate::record::Operation>)>;

async fn look(
    identity: &Identity,
    now: &Moment,
    settings: &Settings,
    record_missing: bool,
) -> Result<Looked, Complaint> {
    let (load_balancer, region) = gather::reach(settings).await?;
    let found = find(&load_balancer, Known { identity, settings, now, record_missing }).await;
    found.map(|found| Some((region, found))).map_err(|error| {
        let code = match error {
            LostRecordError::PortsUnknown(_) => exit::HALTED,
            LostRecordError::Membership(_) => exit::NOTHING_CHANGED,
        };
        Complaint::new(code, error)
    })
}
