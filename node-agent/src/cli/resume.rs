//! `resume` and `rejoin`: continue from the record.

use crate::agent::failure::Complaint;
use crate::agent::gather;
use crate::agent::lost::{self, Found};
use crate::agent::open;
use crate::aws::instance_metadata::Identity;
use crate::cli::report;
use crate::cli::say::say;
use crate::client::drives::Drives;
use crate::client::end::{self, End};
use crate::client::follow;
use crate::exit;
use crate::machine::time::Moment;
use crate::maintenance::context::Driver;
use crate::maintenance::progress::Progress;
use crate::record::Operation;
use crate::record::journal::{Journal, Opened};
use crate::record::mailbox::Ask;
use crate::record::phase::{Event, Outcome, Phase};
use crate::settings::Settings;

/// Continues an unfinished maintenance, in the driver or in this process. Never takes a node out.
pub(super) async fn resume(settings: Settings, progress: &Progress) -> Result<u8, Complaint> {
    if let Some(operation) = open::on_record(&settings)?
        && operation.stays_drained(&open::moment(&settings)?)
    {
        say("drained: out of service until `node-agent rejoin`\n");
        return Ok(exit::DONE);
    }
    // `resume` continues a drain in progress. Only `rejoin` turns it back.
    let ask = |operation: &Operation| {
        matches!(operation.phase, Phase::Halted | Phase::Drained).then_some(Ask::ComeBack)
    };
    let opened = match follow_or_open(&settings, ask, progress).await? {
        Turn::Theirs(end) => return Ok(report::tell(&end)),
        Turn::Ours(opened) => opened,
    };
    let (mut journal, identity) = open::identified(*opened, &settings).await?;
    let operation = match journal.record.operation.take() {
        Some(operation) => taken_up(operation, false, &open::moment(&settings)?)?,
        None => match lost::find(&mut journal, &identity, &settings).await? {
            Found::Lease(operation) => *operation,
            Found::Nothing => {
                say("nothing to do: no maintenance in progress\n");
                return Ok(exit::DONE);
            }
            Found::Unknown(complaint) => {
                let why = "no maintenance is on record, but failed to look for a lease of this node in its target groups";
                return Err(Complaint::new(exit::NOTHING_CHANGED, complaint.error.context(why)));
            }
        },
    };
    let driver = driver(journal, operation, identity, progress).await?;
    Ok(report::tell(&end::drive(driver).await?))
}

/// Brings back a drained or halted node.
pub(super) async fn rejoin(settings: Settings, progress: &Progress) -> Result<u8, Complaint> {
    let opened = match follow_or_open(&settings, |_| Some(Ask::ComeBack), progress).await? {
        Turn::Theirs(end) => return Ok(report::tell(&end)),
        Turn::Ours(opened) => opened,
    };
    let (mut journal, identity) = open::identified(*opened, &settings).await?;
    let Some(operation) = journal.record.operation.take() else {
        say("nothing to do: no maintenance in progress\n");
        return Ok(exit::DONE);
    };
    let operation = taken_up(operation, true, &open::moment(&settings)?)?;
    let mut driver = driver(journal, operation, identity, progress).await?;
    driver.wanted_back();
    Ok(report::tell(&end::drive(driver).await?.of_rejoin()))
}

/// Continues from the record in this process. A person ran this verb, so a halted node is checked again. A drained node
/// comes back for `rejoin`, or when its time is up.
fn taken_up(mut operation: Operation, rejoin: bool, now: &Moment) -> Result<Operation, Complaint> {
    let time_up = operation.phase == Phase::Drained && !operation.stays_drained(now);
    operation.apply_restart(now).map_err(open::no_way)?;
    if time_up {
        operation.apply(Event::Ended(Outcome::Ok), now).map_err(open::no_way)?;
    } else if rejoin || operation.phase == Phase::Halted {
        operation.apply(Event::WantedBack, now).map_err(open::no_way)?;
    }
    Ok(operation)
}

/// Who drove, or is to drive.
enum Turn {
    /// Another process drove to this end.
    Theirs(End),
    /// This process is to drive.
    Ours(Box<Opened>),
}

/// Follows the driver of the maintenance on record. Opens the record if this process is to drive, or nothing is on record.
async fn follow_or_open(
    settings: &Settings,
    ask: impl Fn(&Operation) -> Option<Ask>,
    progress: &Progress,
) -> Result<Turn, Complaint> {
    while let Some(operation) = open::on_record(settings)? {
        let start = match Drives::decided(settings)? {
            Drives::ThisProcess(opened) => return Ok(Turn::Ours(opened)),
            Drives::Another { start } => start,
        };
        let ask = ask(&operation);
        if let Some(end) = follow::go_on(&operation, ask, settings, start.as_deref(), progress).await? {
            return Ok(Turn::Theirs(end));
        }
    }
    let opened = Journal::open(&settings.state_dir).map_err(open::journal_complaint)?;
    Ok(Turn::Ours(Box::new(opened)))
}

async fn driver(
    journal: Journal,
    operation: Operation,
    identity: Identity,
    progress: &Progress,
) -> Result<Driver, Complaint> {
    tracing::info!("continuing the maintenance of {} in phase {}", operation.began.utc, operation.phase);
    let load_balancer = gather::load_balancer(&operation.request.settings, &journal.record.region).await;
    gather::driver(journal, operation, identity, load_balancer, progress)
}
