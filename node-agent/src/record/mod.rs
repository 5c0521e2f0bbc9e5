//! The record of a node, how it is written to disk, and the state machine that it is for.

pub mod answered;
pub mod command;
pub mod disk;
pub mod finished;
pub mod group;
pub mod in_doubt;
pub mod journal;
pub mod mailbox;
pub mod node_record;
pub mod operation;
pub mod phase;
pub mod reboot_asked;
pub mod repeated;
pub mod request;
pub mod turned_back;

/// Waits for a condition in a test. For a moment, between fork and exec, the child of another test may keep a lock.
#[cfg(test)]
fn eventually(mut holds: impl FnMut() -> bool) {
    let began = tokio::time::Instant::now();
    while !holds() {
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "the condition never held");
        std::thread::yield_now();
    }
}

pub use answered::{Answered, Claim};
pub use command::CommandState;
pub use finished::{Finished, PhaseRun, Verdict};
pub use group::{ClaimOnRecord, Group, TicketOnRecord};
pub use in_doubt::{CallId, InDoubt};
pub use node_record::{Record, VERSION};
pub use operation::{Failure, Operation, Standby};
pub use reboot_asked::RebootAsked;
pub use repeated::ScriptId;
pub use request::{RebootWhen, Request};
pub use turned_back::TurnedBack;
