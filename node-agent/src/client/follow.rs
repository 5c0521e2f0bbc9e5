//! Follows a driver that is another process: leaves a request, shows the progress, and returns the end.

use crate::agent::failure::Complaint;
use crate::agent::gather;
use crate::agent::open;
use crate::agent::signals::Asked;
use crate::client::driven::stays_driven;
use crate::client::end::End;
use crate::client::listening::Listening;
use crate::client::reboot_answer;
use crate::client::start;
use crate::exit;
use crate::machine::systemd;
use crate::maintenance::context::DriveError;
use crate::maintenance::progress::{self, Progress};
use crate::record::journal::{self, Journal, JournalError};
use crate::record::mailbox::{Ask, Requests, Waits};
use crate::record::phase::Phase;
use crate::record::{Finished, Operation, Record, Request, Verdict};
use crate::settings::Settings;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// Time between two reads of the record.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A driver that has not run for this long did not start, or has died.
const GONE_AFTER: Duration = Duration::from_secs(5);
/// Starts of the driver before an operator has to find out why it keeps ending.
const STARTS: u32 = 5;
/// What to do about a driver that does not start or keeps ending.
const SEE_ITS_LOG: &str = "`journalctl -u node-agent` shows why";

/// The request or maintenance that is followed.
struct Followed<'a> {
    settings: &'a Settings,
    /// The command that starts the driver. `None`: it is running, and nothing starts another.
    start: Option<&'a [String]>,
    requests: Requests,
    /// The request to leave. `None`: the driver is already working on it.
    ask: Option<Ask>,
    /// Whether the driver may take the node out for this process. A process that wants the node back does not count.
    counts: bool,
    /// ID of the request to wait for.
    id: String,
    /// Start of the current phase. A halt or drain that began then is not the end to wait for.
    begun_in: Option<Timestamp>,
    /// The SSM agent runs this process: it reboots the machine on exit code 194.
    under_ssm: bool,
    /// Asked for the node to stay out.
    stays_out: bool,
    boot_id: String,
}

/// The end of the request, if it has already ended.
pub(crate) fn already(request: &Request) -> Result<Option<End>, Complaint> {
    let Some(record) = read(&request.settings)? else { return Ok(None) };
    if let Some(finished) = record.answer(&request.id) {
        return over(finished, request.stay_out).map(Some);
    }
    let drained = record.operation.filter(|operation| operation.phase == Phase::Drained && request.stay_out);
    Ok(drained.map(|operation| End::DrainedAlready(Box::new(operation))))
}

/// Leaves the request for the driver and follows it to the end. `None`: who drives has to be decided again, because the
/// driver has gone and nothing starts another, or because the earlier maintenance has ended.
pub(crate) async fn begin(
    request: &Request,
    start: Option<&[String]>,
    progress: &Progress,
) -> Result<Option<End>, Complaint> {
    let settings = &request.settings;
    let operation = read(settings)?.and_then(|record| record.operation);
    let on_record = operation.as_ref().is_some_and(|operation| operation.answers(&request.id));
    if operation.as_ref().is_some_and(|other| !on_record && !other.may_be_joined_by(request)) {
        let driven = stays_driven(&settings.state_dir).await;
        let still = read(settings)?.and_then(|record| record.operation);
        return still.map_or(Ok(None), |operation| Err(in_the_way(&operation, driven)));
    }
    let followed = Followed {
        settings,
        start,
        requests: Requests::beside(&settings.state_dir),
        ask: (!on_record).then(|| Ask::Begin(Box::new(request.clone()))),
        counts: true,
        id: request.id.clone(),
        begun_in: None,
        under_ssm: request.under_ssm,
        stays_out: request.stay_out,
        boot_id: boot_id(settings)?,
    };
    followed.to_the_end(progress).await
}

/// The end of a maintenance that is over. Whoever asked for a drain goes on only if the node is out.
fn over(finished: &Finished, stays_out: bool) -> Result<End, Complaint> {
    if stays_out && finished.verdict == Verdict::Succeeded {
        let why = "the node was drained, and is back in service; run `node-agent drain` again";
        return Err(Complaint::new(exit::NOTHING_CHANGED, anyhow::anyhow!(why)));
    }
    Ok(End::Finished(finished.clone()))
}

/// The refusal because of another maintenance.
pub(crate) fn in_the_way(operation: &Operation, driven: bool) -> Complaint {
    let refused = operation.in_the_way(driven);
    Complaint::new(refused.exit_code, anyhow::anyhow!(refused.reason))
}

/// Follows a driver that continues the maintenance on record, and asks it to bring the node back if `ask` says so. `None`:
/// the driver has gone, and nothing starts another.
pub(crate) async fn go_on(
    operation: &Operation,
    ask: Option<Ask>,
    settings: &Settings,
    start: Option<&[String]>,
    progress: &Progress,
) -> Result<Option<End>, Complaint> {
    let followed = Followed {
        settings,
        start,
        requests: Requests::beside(&settings.state_dir),
        ask,
        counts: false,
        id: operation.request.id.clone(),
        begun_in: Some(operation.phase_entered),
        under_ssm: false,
        stays_out: false,
        boot_id: boot_id(settings)?,
    };
    followed.to_the_end(progress).await
}

/// The record of this node.
pub(super) fn read(settings: &Settings) -> Result<Option<Record>, Complaint> {
    journal::read(&settings.state_dir).map_err(open::journal_complaint)
}

/// The boot that this is.
pub(super) fn boot_id(settings: &Settings) -> Result<String, Complaint> {
    let id = gather::machine(settings).boot_id();
    id.map_err(|error| Complaint::new(exit::USAGE, DriveError::from(error)))
}

impl Followed<'_> {
    async fn to_the_end(&self, progress: &Progress) -> Result<Option<End>, Complaint> {
        // Listen before leaving the request: a signal has to take it back.
        let mut listening = Listening::begin()?;
        for _ in 0..STARTS {
            let mut waits = self.leave()?;
            if let Some(argv) = self.start
                && let Some(end) = self.start(argv).await?
            {
                return Ok(Some(end));
            }
            let end = self.until_it_ends_or_dies(&mut waits, &mut listening, progress).await?;
            if end.is_some() || self.start.is_none() {
                return Ok(end);
            }
        }
        Err(self.give_up("failed to follow the maintenance: its driver keeps ending", SEE_ITS_LOG))
    }

    /// Ends the wait before the maintenance has ended. The exit code depends on whether the node may have left service.
    fn give_up(&self, failed: &str, advice: &str) -> Complaint {
        self.take_back();
        let operation = match read(self.settings) {
            Ok(record) => record.and_then(|record| record.operation),
            Err(unreadable) => return unreadable,
        };
        match operation.filter(|operation| operation.answers(&self.id)) {
            Some(operation) if operation.left.is_some() => Complaint::new(
                exit::HALTED,
                anyhow::anyhow!(
                    "{failed}; the maintenance is in phase {} and this node may be out of service: {advice}; then run \
                     `node-agent resume`",
                    operation.phase
                ),
            ),
            Some(operation) => Complaint::new(
                exit::NOTHING_CHANGED,
                anyhow::anyhow!(
                    "{failed}; the maintenance is in phase {} and this node has not left service: {advice}",
                    operation.phase
                ),
            ),
            None => Complaint::new(
                exit::NOTHING_CHANGED,
                anyhow::anyhow!("{failed}; {advice}; nothing was started"),
            ),
        }
    }

    fn wants_it_back(&self) -> bool {
        self.ask == Some(Ask::ComeBack)
    }

    /// Leaves the request and shows the driver that a process waits. Left again for the next driver, it is still one request.
    /// A process that wants the node back does not count: for it, no node leaves service.
    fn leave(&self) -> Result<Option<Waits>, Complaint> {
        let failed = |error: std::io::Error| {
            let dir = self.settings.state_dir.display();
            self.give_up(&format!("failed to ask the driver in {dir}: {error}"), "free or repair the disk")
        };
        if !journal::is_driven(&self.settings.state_dir) {
            self.requests.forget_stop();
        }
        let waits = self.counts.then(|| self.requests.wait()).transpose().map_err(failed)?;
        if let Some(ask) = &self.ask {
            self.requests.leave(ask).map_err(failed)?;
        }
        Ok(waits)
    }

    fn take_back(&self) {
        if let Some(ask) = &self.ask {
            self.requests.take_back(ask);
        }
    }

    /// Starts the driver. Returns the end, if the machine is going down and starts nothing any more.
    async fn start(&self, argv: &[String]) -> Result<Option<End>, Complaint> {
        // Report an unusable record here and not only in the driver's log.
        match Journal::open(&self.settings.state_dir) {
            Ok(_) | Err(JournalError::Locked) => (),
            Err(error) => {
                self.take_back();
                return Err(open::journal_complaint(error));
            }
        }
        let Err(failed) = start::start(argv).await else { return Ok(None) };
        let Some(how) = systemd::going_down().await else { return Err(self.give_up(&failed, SEE_ITS_LOG)) };
        self.take_back();
        let operation = read(self.settings)?.and_then(|record| record.operation);
        let operation = operation.filter(|operation| operation.answers(&self.id));
        let script = self.under_ssm.then_some(self.id.as_str());
        reboot_answer::goes_down(how, &self.settings.state_dir, operation.as_ref(), &self.boot_id, script)
            .map(Some)
    }

    /// `None`: the driver has gone before the end.
    async fn until_it_ends_or_dies(
        &self,
        waits: &mut Option<Waits>,
        listening: &mut Listening,
        progress: &Progress,
    ) -> Result<Option<End>, Complaint> {
        let (mut gone_since, mut shown) = (None, None);
        loop {
            if let Some(end) = self.look(&mut shown, progress)? {
                progress.end();
                return Ok(Some(end));
            }
            if journal::is_driven(&self.settings.state_dir) {
                gone_since = None;
            } else if gone_since.get_or_insert_with(Instant::now).elapsed() >= GONE_AFTER {
                return Ok(None);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => (),
                asked = listening.more() => {
                    if self.requests.is_waited_for_by_others(waits.as_ref()).await {
                        return Err(self.only_leaves());
                    }
                    self.pass_on(asked)?;
                    // Shared again, for others that join.
                    *waits = waits.take().and_then(|own| own.shared().ok());
                }
            }
        }
    }

    /// Another process waits for the maintenance, so it is not ours to stop.
    fn only_leaves(&self) -> Complaint {
        self.take_back();
        let why = "this process no longer waits; the maintenance continues, because another process waits for it \
                   (`node-agent status` shows its progress)";
        Complaint::new(exit::NOTHING_CHANGED, anyhow::anyhow!(why))
    }

    /// Asks the driver to stop. The driver needs no terminal: a closed one does not stop it once the node has left service.
    fn pass_on(&self, asked: Asked) -> Result<(), Complaint> {
        let record = read(self.settings)?;
        if record.as_ref().is_some_and(|record| record.answer(&self.id).is_some()) {
            // It has ended. The driver's next work must not be stopped.
            return Ok(());
        }
        let operation = record.and_then(|record| record.operation);
        let has_left =
            operation.is_some_and(|operation| operation.answers(&self.id) && operation.left.is_some());
        if asked == Asked::TerminalClosed && has_left {
            tracing::info!("terminal closed: the driver continues, because the node has left service");
        } else if let Err(error) = self.requests.leave(&Ask::Stop) {
            tracing::warn!("failed to ask the driver to stop: {error}");
        }
        Ok(())
    }

    /// Reads the record once. Returns the end, if it is reached.
    fn look(&self, shown: &mut Option<Phase>, progress: &Progress) -> Result<Option<End>, Complaint> {
        if let Some(refused) = self.requests.refused(&self.id) {
            return Err(Complaint::new(refused.exit_code, anyhow::anyhow!(refused.reason)));
        }
        let Some(record) = read(self.settings)? else { return Ok(None) };
        if let Some(finished) = record.answer(&self.id) {
            let end = over(finished, self.stays_out)?;
            return Ok(Some(if self.wants_it_back() { end.of_rejoin() } else { end }));
        }
        let Some(operation) = record.operation.filter(|operation| operation.answers(&self.id)) else {
            return Ok(None);
        };
        if shown.is_none() && operation.request.id != self.id {
            tracing::info!(
                "joined the maintenance begun {}",
                operation.began.utc.strftime("%Y-%m-%d %H:%M:%SZ")
            );
        }
        let anew = self.begun_in != Some(operation.phase_entered);
        match operation.phase {
            Phase::Halted if anew => return Ok(Some(End::Halted(Box::new(operation)))),
            Phase::Drained if anew && !self.wants_it_back() => {
                return Ok(Some(End::Drained(Box::new(operation))));
            }
            Phase::Reboot if self.under_ssm && self.is_asked_for(&operation) => {
                let state_dir = &self.settings.state_dir;
                return reboot_answer::asks(state_dir, Some(&operation), &self.boot_id, &self.id).map(Some);
            }
            _ => (),
        }
        if *shown != Some(operation.phase) {
            tracing::info!("the driver is in phase {}", operation.phase);
            *shown = Some(operation.phase);
        }
        progress
            .show(progress::written(&self.settings.state_dir).as_deref().unwrap_or(operation.phase.name()));
        Ok(None)
    }

    /// The SSM agent has to reboot the machine. Asked again before the machine is down, it makes one reboot; and a process
    /// that waits cannot start the next driver.
    fn is_asked_for(&self, operation: &Operation) -> bool {
        operation.reboot.as_ref().is_some_and(|asked| asked.at.boot_id == self.boot_id && asked.times == 1)
    }
}
