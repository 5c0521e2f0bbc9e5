//! `resume --stay`, for node-agent.service: the only driver of an installed node. It continues the maintenance on record,
//! then takes requests, and ends when there is nothing to do.

use crate::agent::failure::Complaint;
use crate::agent::gather;
use crate::agent::lost;
use crate::agent::open;
use crate::agent::signals;
use crate::agent::stuck::Stuck;
use crate::aws::instance_metadata::{Identity, identify};
use crate::aws::load_balancer::LoadBalancer;
use crate::exit;
use crate::machine::ports::Stop;
use crate::maintenance::context::End;
use crate::maintenance::progress::Progress;
use crate::record::journal::Journal;
use crate::record::mailbox::{Ask, Refused, Requests};
use crate::record::{Operation, Request};
use crate::settings::Settings;
use std::time::Duration;
use tokio::time::Instant;

/// A check for a driver holds the lock for an instant, and a driver in a user's session may be about to end.
const LOCK_LIMIT: Duration = Duration::from_secs(10);

pub(crate) async fn run(settings: Settings) -> Result<u8, Complaint> {
    let stop = signals::listen()?.stop;
    let mut stuck = Stuck::new(&settings);
    let machine = gather::machine(&settings);
    loop {
        let complaint = match work(&settings, &stop).await {
            Err(complaint) if !complaint.is_locked() => complaint,
            ended => return ended,
        };
        let refused = Refused { exit_code: complaint.exit_code, reason: format!("{:#}", complaint.error) };
        if !stuck.wait(&refused, machine.as_ref(), &settings, &stop).await {
            return Err(complaint);
        }
    }
}

async fn work(settings: &Settings, stop: &Stop) -> Result<u8, Complaint> {
    let progress = Progress::written_to(&settings.state_dir);
    let (mut journal, identity) = open(settings).await?;
    let requests = Requests::beside(&settings.state_dir);
    requests.forget_stop();
    let mut to_drive = match journal.record.operation.take() {
        Some(operation) => Some(taken_up(operation, settings)?),
        None => lost::find(&mut journal, &identity, settings).await?.or_warned(),
    };
    loop {
        let (operation, identity, load_balancer) = match to_drive.take() {
            Some(operation) => {
                let region = &journal.record.region;
                let load_balancer = gather::load_balancer(&operation.request.settings, region).await;
                (operation, identity.clone(), load_balancer)
            }
            None if stop.is_cancelled() => return Ok(exit::DONE),
            None => match begin(&requests, &mut journal, &identity).await? {
                Some(begun) => begun,
                None => return Ok(exit::DONE),
            },
        };
        journal = match drive(stop, &progress, journal, operation, identity, load_balancer).await? {
            Some(journal) => journal,
            None => return Ok(exit::DONE),
        };
        // A stop of the maintenance that has ended must not stop the next one.
        requests.take_back(&Ask::Stop);
    }
}

/// Drives one operation. `None`: this process ends.
async fn drive(
    stop: &Stop,
    progress: &Progress,
    journal: Journal,
    operation: Operation,
    identity: Identity,
    load_balancer: LoadBalancer,
) -> Result<Option<Journal>, Complaint> {
    let mut driver =
        gather::driver_until(stop.clone(), journal, operation, identity, load_balancer, progress)?;
    driver.stays = true;
    let end = driver.drive_and_stay().await;
    match end.map_err(|error| Complaint::new(exit::HALTED, error))? {
        End::Finished(finished) => {
            tracing::info!(
                "{}{}",
                finished.verdict,
                finished.reason.map(|why| format!(": {why}")).unwrap_or_default()
            );
            Ok(Some(driver.journal))
        }
        End::Halted(_) | End::Drained | End::GoingDown | End::RebootMe => Ok(None),
    }
}

fn taken_up(mut operation: Operation, settings: &Settings) -> Result<Operation, Complaint> {
    let now = open::moment(settings)?;
    operation.apply_restart(&now).map_err(open::no_way)?;
    tracing::info!("continuing the maintenance of {} in phase {}", operation.began.utc, operation.phase);
    Ok(operation)
}

async fn open(settings: &Settings) -> Result<(Journal, Identity), Complaint> {
    let began = Instant::now();
    loop {
        match open::open(settings).await {
            Err(complaint) if complaint.is_locked() && began.elapsed() < LOCK_LIMIT => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            opened => return opened,
        }
    }
}

/// The next requested operation. Drops requests that are answered or that no process waits for.
async fn begin(
    requests: &Requests,
    journal: &mut Journal,
    known: &Identity,
) -> Result<Option<(Operation, Identity, LoadBalancer)>, Complaint> {
    let (mut asked, mut stopped) = (Vec::new(), false);
    for ask in requests.take() {
        match ask {
            Ask::Begin(request) if journal.record.answer(&request.id).is_none() => asked.push(*request),
            // It may have been left while this process started, and then applies to the requests beside it.
            Ask::Stop => stopped = true,
            // Nothing is in progress, so there is nothing to bring back.
            Ask::Begin(_) | Ask::ComeBack => (),
        }
    }
    if stopped {
        let reason = "stop requested before anything was started".to_owned();
        let refused = Refused { exit_code: exit::NOTHING_CHANGED, reason };
        asked.iter().for_each(|request| requests.refuse(&request.id, &refused));
        return Ok(None);
    }
    let mut asked = asked.into_iter();
    let Some(request) = asked.next() else { return Ok(None) };
    for later in asked {
        // The driver takes them during its work, and lets them join or refuses them.
        if let Err(error) = requests.leave(&Ask::Begin(Box::new(later))) {
            tracing::warn!("failed to keep a request for later: {error}");
        }
    }
    if !requests.is_waited_for() {
        tracing::warn!("dropped request {}: no process waits for it any more", request.id);
        return Ok(None);
    }
    let id = request.id.clone();
    match prepared(request, journal, known).await {
        Ok(begun) => Ok(Some(begun)),
        Err(complaint) => {
            tracing::error!("{:#}", complaint.error);
            let reason = format!("{:#}", complaint.error);
            requests.refuse(&id, &Refused { exit_code: complaint.exit_code, reason });
            Ok(None)
        }
    }
}

async fn prepared(
    request: Request,
    journal: &mut Journal,
    known: &Identity,
) -> Result<(Operation, Identity, LoadBalancer), Complaint> {
    let (load_balancer, region) = gather::reach(&request.settings).await?;
    journal.record.region = region;
    // Read again: the Auto Scaling state may have changed.
    let identity = identify(&request.settings).await.map_err(|error| Complaint::new(exit::USAGE, error))?;
    if identity.instance_id != known.instance_id {
        let (asked, ours) = (&identity.instance_id, &known.instance_id);
        let why = anyhow::anyhow!(
            "failed to start the maintenance: the request is for {asked} and this node is {ours}; correct --instance-id"
        );
        return Err(Complaint::new(exit::USAGE, why));
    }
    let now = open::moment(&request.settings)?;
    Ok((Operation::new(request, now), identity, load_balancer))
}
