//! How a maintenance ended for whoever asked, in this process or in another.

use crate::agent::failure::Complaint;
use crate::exit;
use crate::maintenance::context::{self, Driver};
use crate::record::{Finished, Operation, TurnedBack};

/// How a maintenance ended for whoever asked, in this process or in another.
#[derive(Debug)]
pub(crate) enum End {
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
