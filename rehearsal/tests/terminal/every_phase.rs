//! The terminal is closed in every phase.

use crate::pty::OnTerminal;
use crate::stage::{Drives, LIMIT, Stage};
use node_agent::record::phase::Phase;
use node_agent::record::{TurnedBack, Verdict};
use tokio::task::JoinSet;

/// What is left.
#[derive(Debug, Clone, Copy)]
struct Left {
    verdict: Verdict,
    exit_code: i32,
    /// How often the command was begun, and seen to its end.
    command: (usize, usize),
    was_out: bool,
    lease: Option<&'static str>,
}

/// In service: nothing is changed, and the lease is given back.
const UNTOUCHED: Left =
    Left { verdict: Verdict::NothingChanged, exit_code: 75, command: (0, 0), was_out: false, lease: None };
/// Out, and the machine is as it was: back at once.
const TURNED_BACK: Left =
    Left { verdict: Verdict::FailedButRestored, exit_code: 1, was_out: true, ..UNTOUCHED };
/// The command wrote to the terminal: it is stopped, and the node comes back, marked as failed.
const STOPPED: Left = Left { command: (1, 0), lease: Some("p=failed"), ..TURNED_BACK };
/// As asked.
const FINISHED: Left =
    Left { verdict: Verdict::Succeeded, exit_code: 0, command: (1, 1), was_out: true, lease: None };

/// Every phase in which something is done, and what is left where this process drives, and where a unit does.
const TABLE: [(Phase, Left, Left); 11] = [
    (Phase::CheckGroup, UNTOUCHED, UNTOUCHED),
    (Phase::AcquireLease, UNTOUCHED, UNTOUCHED),
    (Phase::Validate, UNTOUCHED, UNTOUCHED),
    (Phase::Deregister, TURNED_BACK, FINISHED),
    (Phase::Drain, TURNED_BACK, FINISHED),
    (Phase::RunCommand, STOPPED, FINISHED),
    (Phase::Reboot, FINISHED, FINISHED),
    (Phase::CheckHealth, FINISHED, FINISHED),
    (Phase::Register, FINISHED, FINISHED),
    (Phase::WaitInService, FINISHED, FINISHED),
    (Phase::ReleaseLease, FINISHED, FINISHED),
];

async fn closed(at: Phase, drives: Drives, left: Left) {
    let stage = Stage::new(at, drives).await;
    let mut program = OnTerminal::start(&stage.maintain(), None);
    let ended = tokio::time::timeout(LIMIT, stage.close(&mut program)).await;
    let here = format!("{at:?}, {drives:?}");
    let code = ended.unwrap_or_else(|_| panic!("{here}: no end\n{}", stage.machine.log()));
    let finished = stage.finished();
    assert_eq!((code, finished.verdict), (Some(left.exit_code), left.verdict), "{here}: {finished:?}");
    assert_eq!((stage.lines("began"), stage.lines("ended")), left.command, "{here}: the command");
    assert_eq!(stage.lines("reboots"), usize::from(at == Phase::Reboot), "{here}: reboots");
    assert_eq!(stage.was_out(), left.was_out, "{here}");
    let turned_back = left.exit_code != 0 && left.command == (0, 0);
    assert_eq!(finished.turned_back, turned_back.then_some(TurnedBack::Stopped), "{here}: {finished:?}");
    let reason = finished.reason.unwrap_or_default();
    assert_eq!(reason.starts_with(at.name()), left.exit_code != 0, "{here}: {reason:?}");
    stage.is_in_service().await;
    let lease = stage.machine.estate.lease_of(1);
    assert_eq!(lease.is_some(), left.lease.is_some(), "{here}: {lease:?}");
    assert!(lease.is_none_or(|tag| tag.contains(left.lease.unwrap_or_default())), "{here}");
}

async fn closed_in_every_phase(drives: Drives) {
    let mut runs = JoinSet::new();
    for (at, this_process, unit) in TABLE {
        runs.spawn(closed(at, drives, if drives == Drives::Unit { unit } else { this_process }));
    }
    runs.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_in_any_phase_the_process_that_drives_turns_back_or_finishes() {
    closed_in_every_phase(Drives::ThisProcess).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_in_any_phase_the_unit_gives_up_in_service_and_finishes_later() {
    closed_in_every_phase(Drives::Unit).await;
}

#[test]
fn the_table_has_every_phase_in_which_something_is_done() {
    let resting = [Phase::Drained, Phase::Done, Phase::Halted];
    let working: Vec<_> = Phase::ALL.into_iter().filter(|phase| !resting.contains(phase)).collect();
    assert_eq!(TABLE.map(|(at, ..)| at).to_vec(), working);
}
