//! What becomes of an operation: its verdict, and what is written when something happens to it.

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

/// In a group that it has left, at this phase.
fn out_at(phase: Phase) -> Operation {
    Operation { phase, left: Some(moment("boot")), groups: vec![group_left()], ..operation() }
}

fn group_left() -> Group {
    Group {
        arn: "arn:group".into(),
        name: "web".into(),
        target_type: TargetType::Instance,
        health_check: HealthCheck {
            https: false,
            port: None,
            path: "/".into(),
            timeout: Duration::from_secs(5),
            matcher: "200".into(),
        },
        pairs: Vec::new(),
        attributes: Attributes::default(),
        registered: 3,
        ticket: None,
        claim: Some(ClaimOnRecord { nonce: "1".into(), max_unavailable: 1, at: Timestamp::UNIX_EPOCH }),
        failed_before: false,
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
fn entering_deregister_is_leaving_unless_it_ends_with_nothing_sent() {
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
fn a_request_to_leave_without_an_answer_counts_as_sent() {
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
fn a_machine_that_boots_again_and_again_is_halted_with_its_reason() {
    let mut operation = out_at(Phase::CheckHealth);
    for boot in ["second", "third", "fourth", "fifth"] {
        assert_eq!(operation.phase, Phase::CheckHealth);
        operation.apply_restart(&moment(boot)).unwrap();
    }
    assert_eq!(operation.phase, Phase::Halted);
    assert!(operation.why_halted().contains("booted more than 3 times"), "{operation:?}");
    operation.apply_restart(&moment("sixth")).unwrap();
    assert_eq!(operation.phase, Phase::Halted);
    // Shut down in good order each time, it is the same.
    operation.apply(Event::GoesDown(GoingDown::Reboot), &moment("sixth")).unwrap();
    assert_eq!((operation.phase, operation.forced), (Phase::Deregister, true));
    operation.apply_restart(&moment("seventh")).unwrap();
    assert_eq!((operation.phase, operation.going_down), (Phase::Halted, None));
    // A person has found out why.
    operation.apply(Event::WantedBack, &moment("seventh")).unwrap();
    assert_eq!(operation.phase, Phase::CheckHealth);
}

#[test]
fn a_command_that_was_cut_off_has_failed_and_so_has_one_that_was_forestalled() {
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
fn a_restart_counts_boots_and_begins_their_limits_anew_and_a_shutdown_is_over_then() {
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
fn what_does_not_fit_changes_nothing() {
    let before = out_at(Phase::Done);
    let mut operation = before.clone();
    assert!(operation.apply(Event::Ended(Outcome::Failed), &moment("boot")).is_err());
    assert_eq!(operation, before);
}
