//! The end of a maintenance for the process that asked for it, driven here or elsewhere.

use crate::agent::failure::Complaint;
use crate::exit;
use crate::maintenance::context::{self, Driver};
use crate::record::{Finished, Operation, TurnedBack};

/// The end of a maintenance for the process that asked for it, driven here or elsewhere.
#[derive(Debug)]
pub(crate) enum End {
    /// It ended with a verdict.
    Finished(Finished),
    /// It was turned back, as `rejoin` requested.
    CameBack(Finished),
    /// Halted. The operation has the reason.
    Halted(Box<Operation>),
    /// Out of service until `rejoin`.
    Drained(Box<Operation>),
    /// The node was drained before the request.
    DrainedAlready(Box<Operation>),
    /// The SSM agent has to reboot the machine and run the command again.
    RebootAsked,
    /// The node is out of service and the machine is going down. The next boot continues.
    GoingDown,
}

impl End {
    /// The end for `rejoin`: a maintenance that it turned back is a success.
    pub(crate) fn of_rejoin(self) -> End {
        match self {
            End::Finished(finished) if finished.turned_back == Some(TurnedBack::WantedBack) => {
                End::CameBack(finished)
            }
            end => end,
        }
    }
}

/// Drives to the end in this process.
pub(crate) async fn drive(mut driver: Driver) -> Result<End, Complaint> {
    // Others may follow this process. Their signals must not stop what it waits for.
    let _waits = driver.requests.as_ref().and_then(|requests| requests.wait().ok());
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
