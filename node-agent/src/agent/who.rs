//! The identity of this node right after a boot, when the metadata service may be late.

use crate::agent::failure::Complaint;
use crate::aws::instance_metadata::{Identity, identify};
use crate::exit;
use crate::machine::time::Moment;
use crate::record::Record;
use crate::settings::Settings;
use std::time::Duration;

/// How long the metadata service may be late after a boot.
const LATE: Duration = Duration::from_secs(120);
/// Time between two attempts.
const EVERY: Duration = Duration::from_secs(2);

/// Asks the metadata service. A record written in this boot is as good as its answer. A record of another boot is not: it
/// may have come with the image that this machine was launched from.
pub(crate) async fn who(
    settings: &Settings,
    found: Option<&Record>,
    now: &Moment,
) -> Result<Identity, Complaint> {
    let deadline = tokio::time::Instant::now() + LATE;
    loop {
        let error = match identify(settings).await {
            Ok(identity) => return Ok(identity),
            Err(error) => error,
        };
        let Some((record, operation)) =
            found.and_then(|record| record.operation.as_ref().map(|o| (record, o)))
        else {
            return Err(Complaint::new(exit::NOTHING_CHANGED, error));
        };
        if operation.phase_began.same_boot(now) {
            tracing::warn!("{error}; continuing as {}, the instance on record", record.instance_id);
            return Ok(remembered(record));
        }
        if tokio::time::Instant::now() >= deadline {
            let why =
                "failed to tell whether the maintenance on record is of this machine or came with its image";
            return Err(Complaint::new(exit::NOTHING_CHANGED, anyhow::Error::new(error).context(why)));
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The identity of this node from the record.
pub(crate) fn remembered(record: &Record) -> Identity {
    let groups = record.operation.iter().flat_map(|operation| &operation.groups);
    let by_address = groups.flat_map(|group| &group.pairs).filter(|pair| pair.id != record.instance_id);
    Identity {
        instance_id: record.instance_id.clone(),
        addresses: by_address.filter_map(|pair| pair.id.parse().ok()).collect(),
        auto_scaling: None,
    }
}
