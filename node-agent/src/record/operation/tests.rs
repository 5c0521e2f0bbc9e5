//! How events change an operation, and its verdict.

use super::*;
use crate::aws::target_group::{Attributes, HealthCheck, TargetType};
use crate::record::ClaimOnRecord;
use crate::settings::Settings;

/// An operation that has not begun.
pub(crate) fn operation() -> Operation {
    let request = Request { reboot: RebootWhen::Always, ..Request::new("one".into(), Settings::default()) };
    Operation::new(request, moment("boot"))
}

fn moment(boot: &str) -> Moment {
    Moment { boot_id: boot.into(), uptime_ms: 5, utc: Timestamp::UNIX_EPOCH }
}

/// An operation at this phase, which has left its group.
fn out_at(phase: Phase) -> Operation {
    Operation { phase, left: Some(moment("boot")), groups: vec![group_left()], ..operation() }
}

fn group_left() -> Group {
    Group {
        arn: "arn:group".into(),
        name: "web".into(),
        target_type: TargetType::Instance,
        port: None,
        address: None,
        health_check: HealthCheck {
            http2: false,
            https: false,
            port: None,
            path: "/".into(),
            timeout: Duration::from_secs(5),
            matcher: "200".into(),
        },
        pairs: Vec::new(),
        joined: Vec::new(),
        attributes: Attributes::default(),
        registered: 3,
        ticket: None,
        claim: Some(ClaimOnRecord { nonce: "1".into(), max_unavailable: 1, at: Timestamp::UNIX_EPOCH }),
        failed_before: false,
        not_in_use: false,
        other_keys: Vec::new(),
        deregistered: Some(moment("boot")),
        deregisters_in_doubt: InDoubt::default(),
        tags_in_doubt: InDoubt::default(),
        gone: false,
    }
}

#[test]
fn the_exit_code_follows_the_verdict() {
    let failed = |configuration| {
        Some(Failure { phase: Phase::CheckGroup, reason: "no".into(), configuration, turned_back: None })
    };
    let code = |out: bool, failure| {
        Operation { left: out.then(|| moment("boot")), failure, ..operation() }.exit_code()
    };
    assert_eq!(code(true, None), 0);
    assert_eq!(code(true, failed(false)), 1);
    assert_eq!(code(false, failed(false)), 75);
    assert_eq!(code(false, failed(true)), 2);
}

#[test]
fn a_node_that_enters_deregister_has_left_unless_nothing_was_sent() {
    let mut operation = Operation { phase: Phase::Validate, ..operation() };
    operation.apply(Event::Ended(Outcome::Ok), &moment("boot")).unwrap();
    assert_eq!((operation.phase, operation.left.is_some()), (Phase::Deregister, true));
    let mut back = operation.clone();
    back.apply(Event::Ended(Outcome::Failed), &moment("boot")).unwrap();
    assert_eq!((back.phase, back.verdict()), (Phase::ReleaseLease, Verdict::NothingChanged));
    operation.groups.push(group_left());
    operation.apply(Event::Ended(Outcome::Failed), &moment("boot")).unwrap();
    assert_eq!((operation.phase, operation.left.is_some()), (Phase::Register, true));
}

#[test]
fn a_call_to_leave_without_an_answer_counts_as_sent() {
    assert!(!operation().has_sent());
    let lost =
        Group { deregistered: None, deregisters_in_doubt: InDoubt::since(moment("boot")), ..group_left() };
    assert!(Operation { groups: vec![lost], ..operation() }.has_sent());
    let standby = |entered, in_doubt| Some(Standby { group: "fleet".into(), entered, in_doubt });
    assert!(
        Operation { standby: standby(Some(moment("boot")), InDoubt::default()), ..operation() }.has_sent()
    );
    assert!(Operation { standby: standby(None, InDoubt::since(moment("boot"))), ..operation() }.has_sent());
    assert!(!Operation { standby: standby(None, InDoubt::default()), ..operation() }.has_sent());
}

#[test]
fn a_machine_that_boots_too_often_is_halted_with_its_reason() {
    let mut operation = out_at(Phase::CheckHealth);
    for boot in ["second", "third", "fourth", "fifth"] {
        assert_eq!(operation.phase, Phase::CheckHealth);
        operation.apply_restart(&moment(boot)).unwrap();
    }
    assert_eq!(operation.phase, Phase::Halted);
    assert!(operation.why_halted().contains("the machine booted more than 3 times"), "{operation:?}");
    operation.apply_restart(&moment("sixth")).unwrap();
    assert_eq!(operation.phase, Phase::Halted);
    // A clean shutdown counts, too.
    operation.apply(Event::GoesDown(GoingDown::Reboot), &moment("sixth")).unwrap();
    assert_eq!((operation.phase, operation.forced), (Phase::Deregister, true));
    operation.apply_restart(&moment("seventh")).unwrap();
    assert_eq!((operation.phase, operation.going_down), (Phase::Halted, None));
    // A person runs `resume`.
    operation.apply(Event::WantedBack, &moment("seventh")).unwrap();
    assert_eq!(operation.phase, Phase::CheckHealth);
}

#[test]
fn after_a_boot_a_running_command_has_failed_and_a_waiting_one_is_not_started() {
    let after = |phase, state| {
        let mut operation = Operation { command: state, ..out_at(phase) };
        operation.request.command = vec!["patch".into()];
        operation.apply_restart(&moment("next")).unwrap();
        (operation.phase, operation.command, operation.verdict())
    };
    let failed = (Phase::CheckHealth, CommandState::Failed, Verdict::FailedButRestored);
    assert_eq!(after(Phase::RunCommand, CommandState::Running), failed);
    let not_run = (Phase::CheckHealth, CommandState::NotRun, Verdict::FailedButRestored);
    assert_eq!(after(Phase::Drain, CommandState::NotRun), not_run);
}

#[test]
fn a_restart_counts_boots_restarts_the_time_limit_and_ends_a_shutdown() {
    let mut operation = Operation { going_down: Some(GoingDown::Reboot), ..out_at(Phase::Drain) };
    operation.apply_restart(&moment("boot")).unwrap();
    assert_eq!((operation.boots, operation.going_down), (0, None));
    let mut operation = out_at(Phase::WaitInService);
    operation.apply_restart(&moment("next")).unwrap();
    assert_eq!((operation.boots, operation.phase_began.boot_id.as_str()), (1, "next"));
    let mut drained = out_at(Phase::Drained);
    drained.apply_restart(&moment("next")).unwrap();
    assert_eq!((drained.boots, drained.phase), (0, Phase::Drained));
}

#[test]
fn an_impossible_event_changes_nothing() {
    let before = out_at(Phase::Done);
    let mut operation = before.clone();
    assert!(operation.apply(Event::Ended(Outcome::Failed), &moment("boot")).is_err());
    assert_eq!(operation, before);
}

#[test]
fn a_repaired_node_has_not_failed_on_its_way_back_but_its_command_has() {
    let resumed = |failed_at, boots| {
        let reason = "no".to_owned();
        let failure = Some(Failure { phase: failed_at, reason, configuration: false, turned_back: None });
        let mut halted = Operation { failure, boots, ..out_at(Phase::Halted) };
        halted.apply(Event::WantedBack, &moment("boot")).unwrap();
        assert_eq!(halted.phase, Phase::CheckHealth);
        halted.verdict()
    };
    for phase in [Phase::CheckHealth, Phase::Register, Phase::WaitInService] {
        assert_eq!(resumed(phase, 0), Verdict::Succeeded, "{phase}");
    }
    assert_eq!(resumed(Phase::RunCommand, 1), Verdict::FailedButRestored);
    // The reboot did happen in the end, or it did not.
    assert_eq!(resumed(Phase::Reboot, 1), Verdict::Succeeded);
    assert_eq!(resumed(Phase::Reboot, 0), Verdict::FailedButRestored);
}

#[test]
fn a_registration_that_is_forgotten_no_longer_counts_as_one_that_joined() {
    let [ours, joined] = ["i-1", "10.0.0.1"].map(|id| crate::aws::target_group::Target::new(id, 80));
    let mut group = Group { pairs: vec![ours.clone()], ..group_left() };
    assert!(group.join(&joined) && !group.join(&joined) && !group.join(&ours));
    assert!(group.is_older_than_others(&ours) && !group.is_older_than_others(&joined));
    assert_eq!(group.forget(|target| *target == joined), std::slice::from_ref(&joined));
    assert_eq!((group.pairs.as_slice(), group.is_older_than_others(&ours)), (&[ours][..], false));
}
