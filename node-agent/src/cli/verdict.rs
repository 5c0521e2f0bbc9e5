//! Drives, and tells how it ended.

use super::{Complaint, say};
use crate::exit;
use crate::maintenance::context::{Driver, End};
use crate::record::{Finished, Operation, PhaseRun, Verdict};
use std::fmt::Write;

/// Drives to the end, prints the verdict and the table of phases, and returns the exit code.
pub(super) async fn drive(mut driver: Driver) -> Result<u8, Complaint> {
    let had_left = driver.operation.left.is_some();
    let end = driver.drive().await.map_err(|error| {
        let out = had_left || driver.operation.left.is_some();
        Complaint::new(if out { exit::HALTED } else { exit::NOTHING_CHANGED }, error)
    })?;
    driver.progress.end();
    Ok(match end {
        End::Finished(finished) => tell(&finished),
        End::Halted(_) => tell_halted(&driver.operation),
        End::Drained => tell_drained(&driver.operation),
        End::GoingDown => exit::DONE,
        End::RebootMe => tell_reboot(),
    })
}

/// Says why a node is halted.
pub(super) fn tell_halted(operation: &Operation) -> u8 {
    let (phases, reason) = (table(&operation.history), operation.why_halted());
    say(&format!(
        "{phases}halted: the node keeps its lease and counts against node-agent/max-failures\n{reason}\n"
    ));
    exit::HALTED
}

/// Says that a node is out until somebody wants it back.
pub(super) fn tell_drained(operation: &Operation) -> u8 {
    let (phases, limit) = (table(&operation.history), operation.request.settings.drained_limit);
    say(&format!("{phases}drained: out of service until `node-agent rejoin`, for {limit} at most\n"));
    exit::DONE
}

/// Asks the SSM agent to reboot the machine and to run the same command again.
pub(super) fn tell_reboot() -> u8 {
    say("drained: asking the SSM agent for the reboot (exit code 194)\n");
    exit::REBOOT
}

/// Prints a finished maintenance and returns its exit code.
pub(super) fn tell(finished: &Finished) -> u8 {
    let mut text = table(&finished.phases);
    let _ = writeln!(text, "{}", finished.verdict);
    if let Some(reason) = &finished.reason {
        let _ = writeln!(text, "{reason}");
        if finished.verdict == Verdict::FailedButRestored {
            let _ = writeln!(
                text,
                "the node is back in service; if its lease tag says failed, as after a command that failed, it counts \
                 against node-agent/max-failures"
            );
        }
    }
    say(&text);
    finished.exit_code
}

fn table(phases: &[PhaseRun]) -> String {
    let mut text = format!("{:<16} {:<10} {:>9}\n", "phase", "outcome", "seconds");
    for run in phases {
        let _ = writeln!(text, "{:<16} {:<10} {:>9.1}", run.phase, run.outcome, run.seconds);
    }
    let total: f64 = phases.iter().map(|run| run.seconds).sum();
    let _ = writeln!(text, "{:<27} {total:>9.1}", "in all");
    text
}
