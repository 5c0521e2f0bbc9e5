//! `maintain` and `drain`: request a new maintenance.

use crate::agent::failure::Complaint;
use crate::agent::gather;
use crate::agent::lost;
use crate::agent::open;
use crate::cli::args::DrainArgs;
use crate::cli::args::MaintainArgs;
use crate::cli::check;
use crate::cli::findings::answer;
use crate::cli::report;
use crate::cli::say::say;
use crate::client::drives::Drives;
use crate::client::end::{self, End};
use crate::client::follow;
use crate::client::reboot_answer;
use crate::client::script;
use crate::exit;
use crate::machine::program::named;
use crate::maintenance::progress::Progress;
use crate::record::journal::Opened;
use crate::record::phase::Phase;
use crate::record::{Operation, RebootWhen, Request};
use crate::settings::Settings;
use std::env;

pub(super) async fn maintain(
    settings: Settings,
    progress: &Progress,
    args: MaintainArgs,
) -> Result<u8, Complaint> {
    if args.reboot == RebootWhen::Never && args.command.is_empty() {
        return Err(Complaint::new(
            exit::USAGE,
            anyhow::anyhow!("nothing to do: give --reboot, a command after `--`, or both"),
        ));
    }
    let request = Request {
        reboot: args.reboot,
        command: args.command,
        not_after: args.not_after,
        ..request(settings)
    };
    if args.dry_run {
        return dry_run(&request).await;
    }
    begin(request, args.run.as_deref(), progress).await
}

/// Whether there is anything to do: a node does not leave service for a reboot that it does not need. What is on record
/// already has its own verdict.
async fn is_needed(request: &Request) -> Result<bool, Complaint> {
    if request.reboot != RebootWhen::IfRequired || !request.command.is_empty() {
        return Ok(true);
    }
    let under_way =
        open::on_record(&request.settings)?.is_some_and(|operation| operation.answers(&request.id));
    let is_known = under_way || follow::already(request)?.is_some();
    Ok(is_known || gather::machine(&request.settings).reboot_required().await.is_wanted())
}

pub(super) async fn drain(settings: Settings, progress: &Progress, args: DrainArgs) -> Result<u8, Complaint> {
    let request = Request { stay_out: true, not_after: args.not_after, ..request(settings) };
    begin(request, args.run.as_deref(), progress).await
}

/// A request with a random ID. The verb adds what to do.
fn request(settings: Settings) -> Request {
    Request::new(format!("{:016x}", rand::random::<u64>()), settings)
}

/// Runs the maintenance, in the driver or in this process, and prints the result.
async fn begin(request: Request, run: Option<&str>, progress: &Progress) -> Result<u8, Complaint> {
    let request = script::meant(request, env::var("SSM_COMMAND_ID").ok(), run)?;
    if !is_needed(&request).await? {
        say("nothing to do: the system requires no reboot\n");
        return Ok(exit::DONE);
    }
    Ok(report::tell(&end_of(request, progress).await?))
}

async fn end_of(request: Request, progress: &Progress) -> Result<End, Complaint> {
    loop {
        if let Some(end) = follow::already(&request)? {
            return Ok(end);
        }
        // A wrong configuration is the driver's to find, with the environment of its unit: a script has another.
        let start = match Drives::decided(&request.settings)? {
            Drives::ThisProcess(opened) => return drive(*opened, request, progress).await,
            Drives::Another { start } => start,
        };
        if let Some(end) = follow::begin(&request, start.as_deref(), progress).await? {
            return Ok(end);
        }
    }
}

async fn drive(opened: Opened, request: Request, progress: &Progress) -> Result<End, Complaint> {
    let (id, settings) = (request.id.clone(), request.settings.clone());
    let node = gather::node(&request.settings).await?;
    let mut journal = open::journal_of(opened, &node.identity, &node.region).await?;
    let machine = gather::machine(&request.settings);
    let now = machine
        .now()
        .map_err(|error| Complaint::new(exit::USAGE, crate::maintenance::context::DriveError::from(error)))?;
    let operation = match journal.record.operation.take() {
        None if journal.is_lost() => {
            match lost::find(&mut journal, &node.identity, &request.settings).await?.or_warned() {
                Some(lost) => return Err(follow::in_the_way(&lost, false)),
                None => Operation::new(request, now),
            }
        }
        None => Operation::new(request, now),
        Some(mut same) if same.answers(&request.id) && same.phase != Phase::Halted => {
            same.apply_restart(&now).map_err(open::no_way)?;
            same
        }
        Some(unfinished) => return Err(follow::in_the_way(&unfinished, false)),
    };
    let driver = gather::driver(journal, operation, node.identity, node.load_balancer, progress)?;
    let boot_id = driver.operation.phase_began.boot_id.clone();
    match end::drive(driver).await? {
        End::RebootAsked => {
            let operation = open::on_record(&settings)?;
            reboot_answer::asks(&settings.state_dir, operation.as_ref(), &boot_id, &id)
        }
        end => Ok(end),
    }
}

async fn dry_run(request: &Request) -> Result<u8, Complaint> {
    let mut plan = String::from("check_group, acquire_lease, validate, deregister, drain");
    if !request.command.is_empty() {
        plan += &format!(", run_command `{}`", named(&request.command));
    }
    match request.reboot {
        RebootWhen::Never => (),
        RebootWhen::IfRequired => plan += ", reboot if required",
        RebootWhen::Always => plan += ", reboot",
    }
    say(&format!("plan: {plan}, check_health, register, wait_in_service, release_lease\n"));
    let findings = check::start(&request.settings).await;
    answer(&findings, false, findings.maintain_ends.unwrap_or(exit::NOTHING_CHANGED))
}
