//! SIGTERM and SIGINT: the first turns back or finishes, by the phase that it meets; the second ends the program at once and
//! leaves the record for `resume`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod estate;
mod fleet;

use estate::{Estate, NODE, estate, lease_key};
use fleet::{Fleet, Node, fleet, logged};
use local_alb::{Fault, Faults};
use node_agent::record::phase::Phase;
use node_agent::record::{Finished, RebootWhen, Verdict};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// What is left after a signal in a phase.
struct Left {
    verdict: Verdict,
    exit_code: u8,
    /// Commands that were begun, reboots that were asked for.
    done: (usize, usize),
    /// DeregisterTargets was called.
    was_out: bool,
    /// What remains of the lease.
    lease: Option<&'static str>,
}

/// In service: nothing is changed.
const UNTOUCHED: Left =
    Left { verdict: Verdict::NothingChanged, exit_code: 75, done: (0, 0), was_out: false, lease: None };
/// Out, and the machine is as it was: back at once.
const TURNED_BACK: Left =
    Left { verdict: Verdict::FailedButRestored, exit_code: 1, was_out: true, ..UNTOUCHED };
/// The command was stopped: back, marked as failed, so that the roll stops.
const STOPPED: Left = Left { done: (1, 0), lease: Some("p=failed"), ..TURNED_BACK };
/// Past the last chance to turn back: it finishes as if nobody had asked.
const FINISHED: Left =
    Left { verdict: Verdict::Succeeded, exit_code: 0, done: (1, 1), was_out: true, lease: None };

/// Every phase in which the driver works, and what a signal in it leads to.
const TABLE: [(Phase, Left); 11] = [
    (Phase::CheckGroup, UNTOUCHED),
    (Phase::AcquireLease, UNTOUCHED),
    (Phase::Validate, UNTOUCHED),
    (Phase::Deregister, TURNED_BACK),
    (Phase::Drain, TURNED_BACK),
    (Phase::RunCommand, STOPPED),
    (Phase::Reboot, FINISHED),
    (Phase::CheckHealth, FINISHED),
    (Phase::Register, FINISHED),
    (Phase::WaitInService, FINISHED),
    (Phase::ReleaseLease, FINISHED),
];

/// A node whose phases all take a while.
async fn slow_node() -> (Fleet, Node) {
    let slow = Faults { latency: Duration::from_millis(60), ..Faults::default() };
    let fleet = fleet().nodes(2).faults(slow).start().await;
    // The last maintenance saw a large fleet, so the start is spread.
    fleet.nodes[0].has_seen_a_fleet_of(40);
    for call in ["RegisterTargets", "RemoveTags"] {
        fleet.alb.script(call, Fault::ServerError, 3);
    }
    // The reboot comes when the test makes it.
    fleet.nodes[0].machine.obeys.store(false, Ordering::Relaxed);
    let node = fleet.nodes[0].clone();
    (fleet, node)
}

/// A whole maintenance that is asked to stop in this phase.
async fn asked_in(phase: Phase) -> (Fleet, Finished) {
    let (fleet, node) = slow_node().await;
    let request = node.request(RebootWhen::Always, &["patch"]);
    let running = tokio::task::spawn_local({
        let node = node.clone();
        async move { node.finish(request).await }
    });
    let (mut asked, mut booted) = (false, false);
    let began = Instant::now();
    while !running.is_finished() {
        assert!(began.elapsed() < Duration::from_secs(3600), "{phase}: no end, at {:?}", node.phase());
        sleep(Duration::from_millis(50)).await;
        if !asked && node.phase() == Some(phase) {
            node.ask_to_stop();
            asked = true;
        } else if !booted && node.machine.reboots.load(Ordering::Relaxed) > 0 {
            sleep(Duration::from_secs(30)).await;
            assert_eq!(node.phase(), Some(Phase::Reboot), "a reboot that was asked for is waited for");
            node.machine.down.notify_waiters();
            booted = true;
        }
    }
    assert!(asked, "{phase} was not met");
    (fleet, running.await.unwrap())
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_signal_in_any_phase_leads_where_the_table_says() {
    let log = logged();
    for (phase, left) in TABLE {
        let (fleet, finished) = asked_in(phase).await;
        assert_eq!((finished.verdict, finished.exit_code), (left.verdict, left.exit_code), "{phase}");
        let machine = &fleet.nodes[0].machine;
        let done = (machine.ran.lock().unwrap().len(), machine.reboots.load(Ordering::Relaxed));
        assert_eq!(done, left.done, "{phase}: commands and reboots");
        let was_out = fleet.alb.calls().iter().any(|call| call.action == "DeregisterTargets");
        assert_eq!(was_out, left.was_out, "{phase}");
        fleet.until_in_service().await;
        let lease = fleet.leases().into_values().next();
        assert_eq!(lease.is_some(), left.lease.is_some(), "{phase}: {lease:?}");
        assert!(lease.is_none_or(|tag| tag.contains(left.lease.unwrap_or_default())), "{phase}");
        let reason = finished.reason.unwrap_or_default();
        assert_eq!(reason.contains(phase.name()), left.exit_code != 0, "{phase}: {reason:?}");
    }
    log.says("stop requested");
}

#[test]
fn the_table_has_every_phase_in_which_something_is_done() {
    let resting = [Phase::Drained, Phase::Done, Phase::Halted];
    let working: Vec<_> = Phase::ALL.into_iter().filter(|phase| !resting.contains(phase)).collect();
    assert_eq!(TABLE.map(|(phase, _)| phase).to_vec(), working);
}

/// The program, and what it says.
struct Program<'a> {
    estate: &'a Estate,
    child: Child,
}

impl Program<'_> {
    fn start<'a>(estate: &'a Estate, args: &[&str]) -> Program<'a> {
        let log = File::create(estate.dir.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_rehearsal"));
        command.arg("node-agent").args(args).env_clear().envs(&estate.environment).kill_on_drop(true);
        Program { estate, child: command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap() }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.estate.dir.path().join("log")).unwrap()
    }

    async fn reaches(&self, phase: Phase) {
        let state = self.estate.dir.path().join("state");
        let at = || Some(node_agent::record::journal::read(&state).ok()??.operation?.phase);
        estate::until(|| at() == Some(phase)).await;
    }

    fn send(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).unwrap())).unwrap();
        kill_process(id, signal).unwrap();
    }

    async fn ends_with(&mut self, code: i32, words: &[&str]) {
        assert_eq!(self.child.wait().await.unwrap().code(), Some(code), "{}", self.log());
        words.iter().for_each(|word| assert!(self.log().contains(word), "{word:?} in {}", self.log()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_in_the_drain_turns_back() {
    let estate = estate().await;
    let began = estate.dir.path().join("began");
    let mut program = Program::start(&estate, &["maintain", "--", "touch", began.to_str().unwrap()]);
    program.reaches(Phase::Drain).await;
    program.send(Signal::TERM);
    program.ends_with(1, &["drain: stop requested", "the node is back in service"]).await;
    assert!(!began.exists());
    assert_eq!(estate.alb.instances_out(&estate.arn), 0);
    assert_eq!(estate.lease_of(1), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigint_stops_the_command_with_all_that_it_has_started() {
    let estate = estate().await.configured("command_grace = \"200ms\"");
    let child = estate.dir.path().join("child");
    // Neither listens to SIGTERM, so that only SIGKILL to the group ends them.
    let script = format!(
        "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > {0}.new; mv {0}.new {0}; while :; do sleep 1; done' & \
         while :; do sleep 1; done",
        child.display()
    );
    let mut program = Program::start(&estate, &["maintain", "--", "sh", "-c", &script]);
    estate::until(|| child.exists()).await;
    program.send(Signal::INT);
    program.ends_with(1, &["run_command", "the node is back in service"]).await;
    let stat = format!("/proc/{}/stat", std::fs::read_to_string(&child).unwrap().trim());
    estate::until(|| std::fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z "))).await;
    assert_eq!(estate.alb.instances_out(&estate.arn), 0);
    assert!(estate.lease_of(1).unwrap().contains("p=failed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_program_at_once_and_resume_finishes() {
    let estate = estate().await;
    let mut program = Program::start(&estate, &["maintain", "--", "true"]);
    program.reaches(Phase::Drain).await;
    program.send(Signal::TERM);
    estate::until(|| program.log().contains("signal again to quit now")).await;
    program.send(Signal::INT);
    let status = program.child.wait().await.unwrap();
    assert_eq!(status.signal(), Some(Signal::INT.as_raw()), "{}", program.log());
    let record = node_agent::record::journal::read(&estate.dir.path().join("state")).unwrap().unwrap();
    assert!(
        record.operation.is_some_and(|operation| operation.left.is_some()),
        "the record is left for `resume`"
    );
    assert!(estate.alb.tags(&estate.arn)[&lease_key(1)].contains("p=held"), "and so is the lease");
    // Whether it turns back depends on whether the first signal came onto the record before the second one.
    let resumed = estate.agent(&["resume"]).await;
    assert!(matches!(resumed.code, Some(0 | 1)), "{resumed:?}");
    assert_eq!(estate.alb.instances_out(&estate.arn), 0);
    assert_eq!(estate.lease_of(1), None);
    assert!(estate.alb.targets(&estate.arn).iter().any(|target| target.id == NODE));
}
