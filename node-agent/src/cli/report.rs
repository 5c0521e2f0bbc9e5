//! The end of a maintenance, as it is printed: the table of phases, the verdict and the exit code.

use crate::cli::say::say;
use crate::client::end::End;
use crate::exit;
use crate::record::{Finished, Operation, PhaseRun, Verdict};
use std::fmt::Write;

/// Prints it, and returns the exit code.
pub(super) fn tell(end: &End) -> u8 {
    let (text, code) = text(end);
    say(&text);
    code
}

fn text(end: &End) -> (String, u8) {
    match end {
        End::Finished(finished) => (verdict(finished), finished.exit_code),
        End::CameBack(finished) => (verdict(finished), exit::DONE),
        End::Halted(operation) => (halted(operation), exit::HALTED),
        End::Drained(operation) => (drained(operation, ""), exit::DONE),
        End::DrainedAlready(operation) => (drained(operation, "nothing to do: "), exit::DONE),
        End::RebootAsked => {
            ("drained: requesting a reboot from the SSM agent (exit code 194)\n".to_owned(), exit::REBOOT)
        }
        End::GoingDown => (String::new(), exit::DONE),
    }
}

fn halted(operation: &Operation) -> String {
    let (phases, reason) = (table(&operation.history), operation.why_halted());
    format!("{phases}halted: the node keeps its lease and counts against node-agent/max-failures\n{reason}\n")
}

fn drained(operation: &Operation, before: &str) -> String {
    let (phases, limit) = (table(&operation.history), operation.request.settings.drained_limit);
    format!("{phases}{before}drained: out of service until `node-agent rejoin`, for at most {limit}\n")
}

fn verdict(finished: &Finished) -> String {
    let mut text = table(&finished.phases);
    let _ = writeln!(text, "{}", finished.verdict);
    if let Some(reason) = &finished.reason {
        let _ = writeln!(text, "{reason}");
        if finished.verdict == Verdict::FailedButRestored {
            let _ = writeln!(
                text,
                "the node is back in service; if its lease is marked failed, as after a failed command, it counts against \
                 node-agent/max-failures"
            );
        }
    }
    text
}

fn table(phases: &[PhaseRun]) -> String {
    let mut text = format!("{:<16} {:<10} {:>9}\n", "phase", "outcome", "seconds");
    for run in phases {
        let _ = writeln!(text, "{:<16} {:<10} {:>9.1}", run.phase, run.outcome, run.seconds);
    }
    let total: f64 = phases.iter().map(|run| run.seconds).sum();
    let _ = writeln!(text, "{:<27} {total:>9.1}", "total");
    text
}
