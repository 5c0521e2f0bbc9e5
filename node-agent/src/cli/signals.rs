//! SIGTERM and SIGINT: the first asks to stop, the second stops at once and leaves the record for `resume`.

use super::Complaint;
use crate::exit;
use crate::machine::ports::Stop;
use crate::machine::systemd;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::watch;

/// Listens from now on.
pub(super) fn listen() -> Result<Stop, Complaint> {
    let (ask, stop) = watch::channel(false);
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(|error| {
        Complaint::new(
            exit::NOTHING_CHANGED,
            anyhow::Error::new(error).context("failed to listen for signals"),
        )
    })?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if systemd::going_down().is_some() {
                // A dying node is never registered; the guard sees to what is left, and the next boot goes on.
                tracing::warn!("asked to stop, and the machine goes down: leaving the rest on record");
                std::process::exit(i32::from(exit::NOTHING_CHANGED));
            }
            if !*ask.borrow() {
                tracing::warn!(
                    "asked to stop: turning back, or going on to the end if the machine may have changed already; \
                     ask again to stop at once and leave the rest to `node-agent resume`"
                );
                ask.send_replace(true);
            } else if signal_hook::low_level::emulate_default_handler(signal).is_err() {
                std::process::abort();
            }
        }
    });
    Ok(stop)
}
