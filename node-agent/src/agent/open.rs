//! Opens the record of this node, and checks that it belongs to this instance.

use crate::agent::failure::Complaint;
use crate::agent::gather;
use crate::agent::who;
use crate::aws::instance_metadata::{Identity, reported_id};
use crate::exit;
use crate::machine::time::Moment;
use crate::maintenance::context::DriveError;
use crate::record::Operation;
use crate::record::journal;
use crate::record::journal::Journal;
use crate::record::journal::JournalError;
use crate::record::journal::Opened;
use crate::record::phase::NoSuchWay;
use crate::settings::Settings;

/// A record that cannot be used, with its exit code.
pub(crate) fn journal_complaint(error: JournalError) -> Complaint {
    let code = match error {
        JournalError::Locked => exit::NOTHING_CHANGED,
        JournalError::Foreign { .. } | JournalError::Denied { .. } => exit::USAGE,
        JournalError::Corrupt { .. }
        | JournalError::Older { .. }
        | JournalError::Newer { .. }
        | JournalError::Io { .. } => exit::HALTED,
    };
    Complaint::new(code, error)
}

/// A record from which no transition leads on.
pub(crate) fn no_way(error: NoSuchWay) -> Complaint {
    Complaint::new(exit::HALTED, DriveError::from(error))
}

/// The maintenance on record.
pub(crate) fn on_record(settings: &Settings) -> Result<Option<Operation>, Complaint> {
    let record = journal::read(&settings.state_dir).map_err(journal_complaint)?;
    Ok(record.and_then(|record| record.operation))
}

/// The settings of the maintenance on record.
pub(crate) fn settings_on_record(where_to_look: &Settings) -> Option<Settings> {
    let operation = on_record(where_to_look).ok().flatten()?;
    Some(Settings { state_dir: where_to_look.state_dir.clone(), ..operation.request.settings })
}

/// The journal of this instance, and its identity.
pub(crate) async fn open(settings: &Settings) -> Result<(Journal, Identity), Complaint> {
    identified(Journal::open(&settings.state_dir).map_err(journal_complaint)?, settings).await
}

/// The journal of this instance, and its identity, from a record that is already open.
pub(crate) async fn identified(
    opened: Opened,
    settings: &Settings,
) -> Result<(Journal, Identity), Complaint> {
    let identity = who::who(settings, opened.found.as_ref(), &moment(settings)?).await?;
    let region = opened.found.as_ref().map(|found| found.region.clone()).unwrap_or_default();
    let journal = journal_of(opened, &identity, &region).await?;
    Ok((journal, identity))
}

/// The journal of this instance. The record of another one is set aside only if the metadata service says that this is not
/// that instance: a person may mistype an ID, and the record is the only way back for a node that is out.
pub(crate) async fn journal_of(
    opened: Opened,
    identity: &Identity,
    region: &str,
) -> Result<Journal, Complaint> {
    if let Some(foreign) = opened.foreign_to(&identity.instance_id)
        && reported_id().await.as_ref() != Some(&identity.instance_id)
    {
        return Err(journal_complaint(foreign));
    }
    opened.for_instance(&identity.instance_id, region).map_err(journal_complaint)
}

/// The current moment.
pub(crate) fn moment(settings: &Settings) -> Result<Moment, Complaint> {
    gather::machine(settings).now().map_err(|error| Complaint::new(exit::HALTED, DriveError::from(error)))
}
