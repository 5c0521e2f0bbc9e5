//! The rules of the table by name.

use super::*;
use crate::machine::systemd::GoingDown;
use Outcome::{Blocked, Cancelled, Failed, Ok as Good};
use Phase::*;

/// A requested reboot of a node that is in service.
pub(super) const IN_SERVICE: Facts = Facts {
    command: None,
    rerun: false,
    reboot_wanted: true,
    reboot_accepted: false,
    drain_again: false,
    stay_out: false,
    forced: false,
    sent: false,
    left: false,
    holds: true,
    boots: 0,
    going_down: false,
    registered: false,
    late: false,
};
const OUT: Facts = Facts { sent: true, left: true, ..IN_SERVICE };
const BOOT: Event = Event::Restarted { booted: true };
const RESTART: Event = Event::Restarted { booted: false };
const SHUTDOWN: Event = Event::GoesDown(GoingDown::Reboot);

#[track_caller]
fn follows(phase: Phase, event: Event, facts: Facts) -> Next {
    next(phase, event, &facts).unwrap()
}

fn ended(phase: Phase, outcome: Outcome, facts: Facts) -> Phase {
    follows(phase, Event::Ended(outcome), facts).phase
}

#[test]
fn an_undisturbed_maintenance_runs_the_phases_in_order() {
    let facts = Facts { command: Some(CommandState::NotRun), ..OUT };
    let mut met = vec![CheckGroup];
    while let Some(at) = met.last().copied().filter(|at| *at != Done) {
        met.push(ended(at, Good, facts));
    }
    let expected: Vec<_> = Phase::ALL.into_iter().filter(|p| !matches!(p, Drained | Halted)).collect();
    assert_eq!(met, expected);
}

#[test]
fn work_that_was_not_requested_is_skipped() {
    let nothing = Facts { reboot_wanted: false, ..OUT };
    assert_eq!(ended(Drain, Good, nothing), CheckHealth);
    assert_eq!(ended(Drain, Good, OUT), Reboot);
    let ran = Facts { command: Some(CommandState::Succeeded), ..OUT };
    assert_eq!(ended(Drain, Good, ran), Reboot, "a command is run once");
    assert_eq!(ended(CheckGroup, Good, Facts { forced: true, ..IN_SERVICE }), Deregister);
    assert_eq!(ended(RunCommand, Good, nothing), CheckHealth);
}

#[test]
fn a_node_that_left_again_beside_its_command_drains_before_the_reboot() {
    let ran = Facts { command: Some(CommandState::Succeeded), drain_again: true, ..OUT };
    assert_eq!(ended(RunCommand, Good, ran), Drain);
    assert_eq!(ended(Drain, Good, ran), Reboot);
    // Without a reboot, the node comes back whether it has drained or not.
    assert_eq!(ended(RunCommand, Good, Facts { reboot_wanted: false, ..ran }), CheckHealth);
}

#[test]
fn before_anything_was_sent_every_failure_only_releases_the_lease() {
    for phase in [CheckGroup, AcquireLease, Validate, Deregister] {
        for outcome in [Failed, Cancelled] {
            assert_eq!(ended(phase, outcome, IN_SERVICE), ReleaseLease, "{phase} {outcome}");
        }
        let restarted = follows(phase, RESTART, IN_SERVICE);
        assert_eq!((restarted.phase, restarted.why), (ReleaseLease, Some(Why::StoppedBeforeLeaving)));
        // The service has not been checked since the boot.
        assert_eq!(follows(phase, BOOT, IN_SERVICE).phase, CheckHealth, "{phase}");
        assert_eq!(follows(phase, BOOT, Facts { holds: false, ..IN_SERVICE }).phase, ReleaseLease);
    }
    assert_eq!(ended(Validate, Blocked, IN_SERVICE), CheckGroup);
    assert_eq!(ended(Deregister, Blocked, IN_SERVICE), Validate);
}

#[test]
fn a_machine_that_may_have_changed_is_never_registered_unchecked() {
    for phase in [Deregister, Drain] {
        for outcome in [Failed, Cancelled] {
            assert_eq!(ended(phase, outcome, OUT), Register);
            assert_eq!(ended(phase, outcome, Facts { boots: 1, ..OUT }), CheckHealth);
            let ran = Facts { command: Some(CommandState::Failed), ..OUT };
            assert_eq!(ended(phase, outcome, ran), CheckHealth);
        }
    }
    assert_eq!(follows(Register, BOOT, OUT).phase, CheckHealth);
    assert_eq!(follows(WaitInService, BOOT, OUT).phase, CheckHealth);
}

#[test]
fn a_node_that_was_registered_by_something_else_leaves_again_but_not_after_a_boot() {
    for phase in [Drain, RunCommand, Reboot] {
        let facts = Facts { command: Some(CommandState::NotRun), ..OUT };
        assert_eq!(ended(phase, Blocked, facts), Deregister, "{phase}");
        assert_eq!(ended(phase, Blocked, Facts { boots: 1, ..facts }), CheckHealth, "{phase}");
    }
    let running = Facts { command: Some(CommandState::Running), ..OUT };
    assert!(next(RunCommand, Event::Ended(Blocked), &running).is_err());
}

#[test]
fn a_drain_by_hand_stays_out_through_boots_until_the_node_is_wanted_back() {
    let by_hand = Facts { stay_out: true, reboot_wanted: false, ..OUT };
    assert_eq!(ended(Drain, Good, by_hand), Drained);
    for event in [RESTART, BOOT, SHUTDOWN] {
        assert_eq!(follows(Drained, event, by_hand).phase, Drained, "{event}");
        assert_eq!(follows(Drain, event, by_hand).phase, Drain, "{event}");
    }
    assert_eq!(follows(Drained, Event::WantedBack, by_hand).phase, CheckHealth);
    assert_eq!(ended(Drained, Good, by_hand), CheckHealth);
}

#[test]
fn after_a_boot_no_command_is_started_and_none_is_run_twice() {
    for (state, why) in
        [(CommandState::NotRun, Why::BootedBeforeCommand), (CommandState::Running, Why::CommandCutOff)]
    {
        let facts = Facts { command: Some(state), boots: 1, ..OUT };
        let after = follows(RunCommand, BOOT, facts);
        assert_eq!((after.phase, after.why), (CheckHealth, Some(why)));
    }
    let cut_off = Facts { command: Some(CommandState::Running), ..OUT };
    assert_eq!(follows(RunCommand, RESTART, cut_off).why, Some(Why::CommandCutOff));
    assert_eq!(follows(RunCommand, RESTART, Facts { rerun: true, ..cut_off }).phase, RunCommand);
    let late = Facts { rerun: true, late: true, ..cut_off };
    assert_eq!(follows(RunCommand, RESTART, late).why, Some(Why::CommandCutOff));
    let not_begun = Facts { command: Some(CommandState::NotRun), ..OUT };
    assert_eq!(follows(RunCommand, RESTART, not_begun).phase, RunCommand);
    assert_eq!(follows(RunCommand, RESTART, Facts { late: true, ..not_begun }).why, Some(Why::TooLate));
}

#[test]
fn a_drain_interrupted_by_a_boot_does_not_count_as_the_command() {
    let patch = Facts { command: Some(CommandState::NotRun), boots: 1, ..OUT };
    let only_a_reboot = Facts { boots: 1, ..OUT };
    for phase in [Deregister, Drain] {
        assert_eq!(follows(phase, BOOT, patch).why, Some(Why::BootedBeforeCommand), "{phase}");
        assert_eq!(follows(phase, BOOT, only_a_reboot).why, None, "{phase}: the boot is the reboot");
    }
}

#[test]
fn a_reboot_that_was_refused_brings_the_node_back_and_one_that_does_not_come_halts_it() {
    assert_eq!(ended(Reboot, Failed, OUT), CheckHealth);
    assert_eq!(ended(Reboot, Failed, Facts { reboot_accepted: true, ..OUT }), Halted);
}

#[test]
fn a_shutdown_drains_from_wherever_requests_may_reach_the_node() {
    for phase in [CheckHealth, Register, WaitInService, ReleaseLease, Halted] {
        let leaving = follows(phase, SHUTDOWN, OUT);
        assert_eq!((leaving.phase, leaving.forced), (Deregister, true), "{phase}");
    }
    for phase in [Drained, RunCommand, Reboot] {
        assert_eq!(follows(phase, SHUTDOWN, OUT).phase, phase);
        assert_eq!(follows(phase, SHUTDOWN, Facts { registered: true, ..OUT }).phase, Deregister);
    }
    // In service it releases its lease; then the guard leaves as an idle node does. `done` is handled likewise.
    for phase in [CheckGroup, AcquireLease, Validate, WaitInService, ReleaseLease] {
        assert_eq!(follows(phase, SHUTDOWN, IN_SERVICE).phase, ReleaseLease, "{phase}");
    }
    assert_eq!(follows(Done, SHUTDOWN, OUT).phase, Done);
    // It stops after the drain until the machine is down.
    let down = Facts { going_down: true, forced: true, ..OUT };
    for outcome in [Good, Failed, Cancelled] {
        assert_eq!(ended(Drain, outcome, down), Drain);
    }
    assert_eq!(ended(Deregister, Failed, down), Drain);
    assert_eq!(follows(Drain, BOOT, down).phase, CheckHealth);
}

#[test]
fn a_machine_that_boots_too_often_waits_for_a_person() {
    let again = Facts { boots: MOST_BOOTS + 1, ..OUT };
    for phase in [Deregister, Drain, RunCommand, Reboot, CheckHealth, Register, WaitInService] {
        let halted = follows(phase, BOOT, again);
        assert_eq!((halted.phase, halted.why), (Halted, Some(Why::TooManyBoots)), "{phase}");
    }
    assert_eq!(follows(Halted, BOOT, again), Next { phase: Halted, why: None, forced: false });
    assert_eq!(follows(Halted, BOOT, OUT).phase, CheckHealth);
    assert_eq!(follows(Halted, RESTART, OUT).phase, Halted, "its driver may be restarted at any time");
    assert_eq!(follows(Halted, Event::WantedBack, again).phase, CheckHealth);
    for phase in [CheckGroup, Drained, ReleaseLease, Done] {
        assert_ne!(follows(phase, BOOT, again).phase, Halted, "{phase}");
    }
}

#[test]
fn impossible_events_are_errors_that_name_both_sides() {
    let error = next(Done, Event::Ended(Blocked), &OUT).unwrap_err();
    assert_eq!(error.to_string(), "no phase follows done when it is blocked");
}

#[test]
fn the_name_is_the_word_on_disk() {
    for phase in Phase::ALL {
        assert_eq!(serde_json::to_string(&phase).unwrap(), format!("\"{}\"", phase.name()));
    }
}
