//! Signals. The first one requests a stop. A second SIGTERM or SIGINT ends the process at once; `resume` continues from the
//! record.
//!
//! A closed terminal also requests a stop, but never ends the process: it sends two SIGHUPs, from the kernel and from the
//! shell, and a SIGTERM if systemd ends the session.

use crate::agent::failure::Complaint;
use crate::exit;
use crate::machine::ports::Stop;
use crate::machine::systemd;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::{Mutex, PoisonError};
use tokio::runtime::Builder;
use tokio::sync::watch;

/// What the signals have requested so far. It only increases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asked {
    Nothing,
    /// The terminal was closed (SIGHUP).
    TerminalClosed,
    /// A stop was requested (SIGTERM, SIGINT).
    Stop,
}

/// The channels that carry the requests.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    /// What was requested.
    pub(crate) asked: watch::Receiver<Asked>,
    /// Whether anything was requested.
    pub(crate) stop: Stop,
}

/// Signals belong to the process, so it has one listener. A process that first follows and then drives keeps the request.
static HEARD: Mutex<Option<Heard>> = Mutex::new(None);

/// Starts to listen at the first call.
pub(crate) fn listen() -> Result<Heard, Complaint> {
    let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    match &*heard {
        Some(heard) => Ok(heard.clone()),
        None => Ok(heard.insert(begin()?).clone()),
    }
}

fn begin() -> Result<Heard, Complaint> {
    let (tell, asked) = watch::channel(Asked::Nothing);
    let stop = Stop::new();
    let end = stop.clone();
    let listened = [SIGTERM, SIGINT].into_iter().chain(Some(SIGHUP).filter(|signal| !is_ignored(*signal)));
    let failed = |error| anyhow::Error::new(error).context("failed to listen for signals");
    let failed = |error| Complaint::new(exit::NOTHING_CHANGED, failed(error));
    let mut signals = Signals::new(listened).map_err(failed)?;
    // The driver's runtime may be stuck. A second signal must still end the process.
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if runtime.block_on(systemd::going_down()).is_some() {
                // Never register a node that goes down. The guard drains it, and the next boot continues.
                tracing::warn!(
                    "stop requested because the machine is going down: the next boot continues from the record"
                );
                std::process::exit(i32::from(exit::NOTHING_CHANGED));
            }
            let (before, now) = (*tell.borrow(), what_it_asks(signal));
            if before == Asked::Stop && now == Asked::Stop {
                if signal_hook::low_level::emulate_default_handler(signal).is_err() {
                    std::process::abort();
                }
            } else if now > before {
                tell.send_replace(now);
                end.cancel();
                warn(now);
            }
        }
    });
    Ok(Heard { asked, stop })
}

fn what_it_asks(signal: i32) -> Asked {
    if signal == SIGHUP { Asked::TerminalClosed } else { Asked::Stop }
}

fn warn(asked: Asked) {
    let next =
        "returning to service, or finishing if the machine was already changed, unless another process waits";
    if asked == Asked::Stop {
        tracing::warn!("stop requested: {next}; signal again to quit now, then run `node-agent resume`");
    } else {
        tracing::warn!("terminal closed: {next}");
    }
}

/// `nohup` starts programs with SIGHUP ignored.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}
