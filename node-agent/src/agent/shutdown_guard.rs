//! `shutdown-guard`, for node-agent-guard.service: deregisters and drains the node when the machine is shut down by
//! somebody else, so that no request is lost.

use crate::agent::failure::Complaint;
use crate::agent::gather;
use crate::agent::open;
use crate::aws::instance_metadata::Identity;
use crate::exit;
use crate::machine::ports::Stop;
use crate::machine::systemd;
use crate::machine::systemd::GoingDown;
use crate::maintenance::before_shutdown;
use crate::maintenance::context::DriveError;
use crate::maintenance::limits::SHUTDOWN_GUARD;
use crate::maintenance::progress::Progress;
use crate::record::journal::Journal;
use crate::settings::Settings;
use std::time::Duration;
use tokio::time::Instant;

/// How long a driver that systemd does not control may keep the record after it was told to stop.
const DRIVER_LEAVES: Duration = Duration::from_secs(30);

/// Deregisters and drains the node if the machine is going down.
pub(crate) async fn run(settings: Settings, progress: &Progress) -> Result<u8, Complaint> {
    let Some(how) = systemd::going_down().await else {
        tracing::info!("nothing to do: the machine is not going down");
        return Ok(exit::DONE);
    };
    let left = tokio::time::timeout(SHUTDOWN_GUARD, leave(&settings, how, progress)).await;
    let not_drained = |complaint| Complaint { exit_code: exit::FAILED, ..complaint };
    left.map(|left| left.map_err(not_drained)).unwrap_or_else(|_| {
        let why = "failed to drain before the shutdown: not finished after 20 minutes; systemd forces the machine down soon";
        Err(Complaint::new(exit::FAILED, anyhow::anyhow!(why)))
    })
}

async fn leave(settings: &Settings, how: GoingDown, progress: &Progress) -> Result<u8, Complaint> {
    let (mut journal, identity) = open(settings).await?;
    let now = gather::machine(settings).now().map_err(DriveError::from).map_err(failed)?;
    let on_record = journal.record.operation.take();
    let load_balancer = match &on_record {
        Some(operation) => gather::load_balancer(&operation.request.settings, &journal.record.region).await,
        None => {
            let (load_balancer, region) = gather::reach(settings).await?;
            journal.record.region = region;
            load_balancer
        }
    };
    let operation = before_shutdown::begin(on_record, settings, how, now);
    // Nothing stops a shutdown: no one cancels this token.
    let stop = Stop::new();
    let mut driver = gather::driver_until(stop, journal, operation, identity, load_balancer, progress)?;
    driver.leave_before(how, settings).await.map_err(failed)?;
    Ok(exit::DONE)
}

fn failed(error: DriveError) -> Complaint {
    Complaint::new(exit::FAILED, error)
}

/// systemd has already stopped the unit's driver. A driver in a user's session may take a moment longer.
async fn open(settings: &Settings) -> Result<(Journal, Identity), Complaint> {
    let began = Instant::now();
    loop {
        match open::open(settings).await {
            Err(complaint) if complaint.is_locked() && began.elapsed() < DRIVER_LEAVES => {
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            opened => return opened,
        }
    }
}
