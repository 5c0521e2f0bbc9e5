//! With no maintenance on record, looks for leases of this node.

use crate::agent::failure::Complaint;
use crate::agent::gather;
use crate::agent::lost_record::{Known, LostRecordError};
use crate::agent::open;
use crate::aws::instance_metadata::Identity;
use crate::exit;
use crate::machine::time::Moment;
use crate::record::Operation;
use crate::record::journal::Journal;
use crate::settings::Settings;

/// What a search for leases of this node has found.
#[derive(Debug)]
pub(crate) enum Found {
    /// A lease: the operation to drive.
    Lease(Box<Operation>),
    /// None.
    Nothing,
    /// The API did not tell. The record says "idle", so the search was a precaution.
    Unknown(Complaint),
}

impl Found {
    /// The operation to drive. What is unknown is a warning: a driver has other work, and a later one looks again.
    pub(crate) fn or_warned(self) -> Option<Operation> {
        match self {
            Found::Lease(operation) => Some(*operation),
            Found::Nothing => None,
            Found::Unknown(complaint) => {
                tracing::warn!("skipped the search for leases of this node: {:#}", complaint.error);
                None
            }
        }
    }
}

/// Looks for leases of this node. Creates the record if it is missing.
pub(crate) async fn find(
    journal: &mut Journal,
    identity: &Identity,
    settings: &Settings,
) -> Result<Found, Complaint> {
    let record_missing = journal.is_new();
    journal.assume_calls_in_doubt(Moment { uptime_ms: 0, ..open::moment(settings)? });
    let operation = match look(journal, identity, settings).await {
        Err(complaint) if !record_missing => return Ok(Found::Unknown(complaint)),
        looked => looked?,
    };
    if let Some(operation) = operation {
        tracing::warn!("found a lease of this node that is not on record: bringing the node back");
        return Ok(Found::Lease(Box::new(operation)));
    }
    if record_missing {
        journal.save().map_err(open::journal_complaint)?;
    }
    Ok(Found::Nothing)
}

async fn look(
    journal: &mut Journal,
    identity: &Identity,
    settings: &Settings,
) -> Result<Option<Operation>, Complaint> {
    let (load_balancer, region) = gather::reach(settings).await?;
    journal.record.region = region;
    let now = open::moment(settings)?;
    let known = Known { identity, settings, now: &now, record_missing: journal.is_new() };
    crate::agent::lost_record::find(&load_balancer, known).await.map_err(|error| {
        let code = match error {
            LostRecordError::PortsUnknown(_) => exit::HALTED,
            LostRecordError::Membership(ref error) if error.is_final() => exit::USAGE,
            LostRecordError::Membership(_) => exit::NOTHING_CHANGED,
        };
        Complaint::new(code, error)
    })
}
