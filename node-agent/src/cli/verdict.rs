//! How a maintenance ended, as whoever asked reads it: the verdict, the table of phases and the exit code.

use super::{Complaint, say};
use crate::exit;
use crate::maintenance::context::{self, Driver};
use crate::record::{Finished, Operation, PhaseRun, TurnedBack, Verdict};
use std::fmt::Write;

/// How a maintenance ended for whoever asked, in this process or in another.
#[derive(Debug)]
pub(super) enum End {
    /// It is over.
    Finished(Finished),
    /// It is over: it was turned back, which is what was asked for.
    CameBack(Finished),
    /// Halted, and its reason is in there.
    Halted(Box<Operation>),
    /// Out until somebody wants it back.
    Drained(Box<Operation>),
    /// It was so before anybody asked.
    DrainedAlready(Box<Operation>),
    /// The SSM agent is to reboot the machine and run the same command again.
    RebootAsked,
    /// Out of service, and the machine goes down: the next boot goes on.
    GoingDown,
}

impl End {
    /// The same for `rejoin`: a maintenance that it turned back has ended as it should.
    pub(super) fn of_rejoin(self) -> End {
        match self {
            End::Finished(finished) if finished.turned_back == Some(TurnedBack::WantedBack) => {
                End::CameBack(finished)
            }
            end => end,
        }
    }

    /// Prints it, and returns the exit code.
    pub(super) fn tell(&self) -> u8 {
        let (text, code) = self.text();
        say(&text);
        code
    }

    fn text(&self) -> (String, u8) {
        match self {
            End::Finished(finished) => (verdict(finished), finished.exit_code),
            End::CameBack(finished) => (verdict(finished), exit::DONE),
            End::Halted(operation) => (halted(operation), exit::HALTED),
            End::Drained(operation) => (drained(operation), exit::DONE),
            End::DrainedAlready(operation) => (format!("already so: {}", drained(operation)), exit::DONE),
            End::RebootAsked => {
                ("drained: asking the SSM agent for the reboot (exit code 194)\n".to_owned(), exit::REBOOT)
            }
            End::GoingDown => (String::new(), exit::DONE),
        }
    }
}

/// Drives to the end in this process.
pub(super) async fn drive(mut driver: Driver) -> Result<End, Complaint> {
    let had_left = driver.operation.left.is_some();
    let end = driver.drive().await.map_err(|error| {
        let out = had_left || driver.operation.left.is_some();
        Complaint::new(if out { exit::HALTED } else { exit::NOTHING_CHANGED }, error)
    })?;
    driver.progress.end();
    let operation = Box::new(driver.operation);
    Ok(match end {
        context::End::Finished(finished) => End::Finished(finished),
        context::End::Halted(_) => End::Halted(operation),
        context::End::Drained => End::Drained(operation),
        context::End::GoingDown => End::GoingDown,
        context::End::RebootMe => End::RebootAsked,
    })
}

fn halted(operation: &Operation) -> String {
    let (phases, reason) = (table(&operation.history), operation.why_halted());
    format!("{phases}halted: the node keeps its lease and counts against node-agent/max-failures\n{reason}\n")
}

fn drained(operation: &Operation) -> String {
    let (phases, limit) = (table(&operation.history), operation.request.settings.drained_limit);
    format!("{phases}drained: out of service until `node-agent rejoin`, for {limit} at most\n")
}

fn verdict(finished: &Finished) -> String {
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
    text
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
