//! Signals: the first asks to stop. A second SIGTERM or SIGINT stops at once and leaves the record for `resume`.
//!
//! A closed terminal asks to stop, too, but never at once: it comes as two SIGHUPs, one by the kernel and one by the shell,
//! and, where systemd ends a session, with a SIGTERM.

use crate::agent::failure::Complaint;
use crate::exit;
use crate::machine::ports::Stop;
use crate::machine::systemd;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::{Mutex, PoisonError};
use tokio::runtime::Builder;
use tokio::sync::watch;

/// What the signals have asked for so far: never less than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asked {
    Nothing,
    /// The terminal was closed (SIGHUP).
    TerminalClosed,
    /// Somebody asked to stop (SIGTERM, SIGINT).
    Stop,
}

/// What is heard of the signals.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    /// What they ask for.
    pub(crate) asked: watch::Receiver<Asked>,
    /// Whether they ask for anything.
    pub(crate) stop: Stop,
}

/// Signals are the process's, so there is one who listens, and a process that follows before it drives has been asked once.
static HEARD: Mutex<Option<Heard>> = Mutex::new(None);

/// Listens from the first call on.
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
    // The driver's own may be stuck, and a second signal has to end it then.
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if runtime.block_on(systemd::going_down()).is_some() {
                // A dying node is never registered; the guard sees to what is left, and the next boot goes on.
                tracing::warn!("asked to stop, and the machine goes down: leaving the rest on record");
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
    let goes_on = "turning back, or going on to the end if the machine may have changed already";
    if asked == Asked::Stop {
        tracing::warn!(
            "asked to stop: {goes_on}; ask again to stop at once and leave the rest to `node-agent resume`"
        );
    } else {
        tracing::warn!("the terminal was closed: {goes_on}");
    }
}

/// `nohup` starts a program so: a closed terminal is no concern of it.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}
