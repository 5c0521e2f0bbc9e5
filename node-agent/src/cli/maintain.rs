//! `maintain` and `drain`: a new operation, driven in this process.

use super::{Complaint, MaintainArgs, check, gather, say, verdict};
use crate::exit;
use crate::journal::Journal;
use crate::phase::Phase;
use crate::progress::Progress;
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
    let request = request(settings, false, args.reboot, args.command);
    if args.dry_run {
        return dry_run(&request).await;
    }
    begin(request, progress).await
}

pub(super) async fn drain(settings: Settings, progress: &Progress) -> Result<u8, Complaint> {
    begin(request(settings, true, RebootWhen::Never, Vec::new()), progress).await
}

/// SSM runs the same command again after a reboot: its id makes both runs one operation.
fn request(settings: Settings, stay_out: bool, reboot: RebootWhen, command: Vec<String>) -> Request {
    let ssm = env::var("SSM_COMMAND_ID").ok().filter(|id| !id.is_empty());
    let under_ssm = ssm.is_some();
    let id = ssm.unwrap_or_else(|| format!("{:016x}", rand::random::<u64>()));
    Request { id, stay_out, reboot, under_ssm, command, settings }
}

async fn begin(request: Request, progress: &Progress) -> Result<u8, Complaint> {
    let opened = Journal::open(&request.settings.state_dir).map_err(gather::journal_complaint)?;
    let node = gather::node(&request.settings).await?;
    let mut journal =
        opened.for_instance(&node.identity.instance_id, &node.region).map_err(gather::journal_complaint)?;
    if let Some(finished) = journal.record.finished.iter().find(|finished| finished.id == request.id) {
        return Ok(verdict::tell(finished));
    }
    let machine = gather::machine(&request.settings);
    let now =
        machine.now().map_err(|error| Complaint::new(exit::USAGE, crate::driver::DriveError::from(error)))?;
    let operation = match journal.record.operation.take() {
        None => Operation::new(request, now),
        Some(mut same) if same.request.id == request.id && same.phase != Phase::Halted => {
            same.take_up(&now);
            same
        }
        Some(unfinished) => return Err(in_the_way(&unfinished)),
    };
    let driver = gather::driver(journal, operation, node.identity, node.load_balancer, progress)?;
    verdict::drive(driver).await
}

fn in_the_way(unfinished: &Operation) -> Complaint {
    let since = unfinished.began.utc.strftime("%Y-%m-%d %H:%M:%SZ");
    let (what, code) = match unfinished.phase {
        Phase::Halted => {
            let reason =
                unfinished.failure.as_ref().map(|failure| failure.reason.as_str()).unwrap_or_default();
            (format!("is halted ({reason}); repair it, then run `node-agent resume`"), exit::HALTED)
        }
        Phase::Drained => ("is drained; run `node-agent rejoin` first".to_owned(), exit::NOTHING_CHANGED),
        phase => (format!("stopped at {phase}; run `node-agent resume` first"), exit::NOTHING_CHANGED),
    };
    Complaint::new(code, anyhow::anyhow!("an earlier maintenance of this node, begun {since}, {what}"))
}

async fn dry_run(request: &Request) -> Result<u8, Complaint> {
    let mut plan = String::from("check_group, acquire_lease, deregister, drain");
    if !request.command.is_empty() {
        plan += &format!(", run_command `{}`", request.command.join(" "));
    }
    match request.reboot {
        RebootWhen::Never => (),
        RebootWhen::IfRequired => plan += ", reboot if required",
        RebootWhen::Always => plan += ", reboot",
    }
    say(&format!("would do: {plan}, check_health, register, wait_in_service, release_lease\n"));
    check::start(&request.settings, false).await
}
