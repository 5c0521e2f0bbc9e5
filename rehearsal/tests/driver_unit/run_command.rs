//! What the SSM agent may rely on.

use crate::estate::{lease_key, until};
use crate::machine::{Machine, machine};
use crate::ssm_agent::RunCommand;
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;

fn command<'a>(machine: &'a Machine, id: &'static str, args: &[&str]) -> RunCommand<'a> {
    RunCommand { machine, id, args: args.iter().map(|arg| (*arg).to_owned()).collect() }
}

fn counting<'a>(machine: &'a Machine, id: &'static str, seconds: &str) -> RunCommand<'a> {
    let args = ["maintain", "--"].map(str::to_owned).into_iter().chain(machine.counting(seconds));
    RunCommand { machine, id, args: args.collect() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reboot_is_asked_for_once_and_the_second_run_ends_as_the_maintenance_does() {
    let machine = machine().await;
    let codes = command(&machine, "c-1", &["maintain", "--reboot"]).to_the_end().await;
    assert_eq!(codes, [194, 0], "{}", machine.log());
    let finished = machine.finished();
    assert_eq!((finished.len(), finished[0].verdict, finished[0].boots), (1, Verdict::Succeeded, 1));
    machine.assert_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_after_the_boot_unit_has_finished_only_reports() {
    let machine = machine().await;
    let reboot = command(&machine, "c-1", &["maintain", "--reboot"]);
    assert_eq!(reboot.start().ends().await, 194, "{}", machine.log());
    machine.reboot().await;
    machine.until_finished(1).await;
    let calls = machine.estate.alb.calls().len();
    assert_eq!(reboot.start().ends().await, 0);
    assert_eq!(machine.finished().len(), 1);
    let since: Vec<_> = machine.estate.alb.calls().into_iter().skip(calls).map(|call| call.action).collect();
    assert!(since.iter().all(|action| action.starts_with("Describe")), "{since:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_told_without_asking_anybody() {
    let machine = machine().await;
    let patch = command(&machine, "c-1", &["maintain", "--", "true"]);
    assert_eq!(patch.start().ends().await, 0, "{}", machine.log());
    // Right after a boot the metadata service, and with it the credentials, may be late.
    patch.again(&[("AWS_EC2_METADATA_DISABLED", "true")]).await.says(0, &["run_command", "succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_out_is_never_told_to_be_as_it_was() {
    let machine = machine().await;
    let patch = counting(&machine, "c-1", "60");
    let script = patch.start();
    machine.until_at(Phase::RunCommand).await;
    script.cancel().await;
    // As systemd does while the machine goes down.
    std::fs::write(machine.file("start"), "exit 1\n").unwrap();
    let refused = patch.again(&[]).await;
    refused
        .says(3, &["failed to start the driver", "is in phase run_command", "then run `node-agent resume`"]);
    // As on a disk that the patch has filled.
    std::fs::remove_dir_all(machine.file("state/requests")).unwrap();
    std::fs::write(machine.file("state/requests"), "").unwrap();
    let unasked = patch.again(&[]).await;
    unasked.says(3, &["failed to ask the driver", "is in phase run_command", "free or repair the disk"]);
    for run in [refused, unasked] {
        assert!(!run.err.contains("nothing was started"), "{run:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_again_in_the_same_boot_it_does_not_answer_194_again() {
    let machine = machine().await;
    let reboot = command(&machine, "c-1", &["maintain", "--reboot"]);
    assert_eq!(reboot.start().ends().await, 194, "{}", machine.log());
    // The SSM agent was restarted before the machine went down.
    let again = reboot.start();
    machine.reboot().await;
    assert_eq!(again.ends().await, 0, "{}", machine.log());
    assert_eq!(machine.finished().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_before_the_node_has_left_it_stays_in_service() {
    let machine = machine().await;
    machine.estate.alb.set_tag(&machine.estate.arn, &lease_key(2), "v1 p=held e=1 k=1");
    let script = command(&machine, "c-1", &["maintain", "--reboot"]).start();
    machine.until_at(Phase::AcquireLease).await;
    script.cancel().await;
    machine.until_finished(1).await;
    let finished = &machine.finished()[0];
    assert_eq!((finished.verdict, finished.exit_code), (Verdict::NothingChanged, 75));
    assert!(finished.reason.as_ref().unwrap().contains("no client waits for it any more"), "{finished:?}");
    machine.assert_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_after_the_node_has_left_it_is_finished() {
    let machine = machine().await;
    let script = counting(&machine, "c-1", "2").start();
    machine.until_at(Phase::RunCommand).await;
    script.cancel().await;
    machine.until_finished(1).await;
    assert_eq!(machine.finished()[0].verdict, Verdict::Succeeded, "{}", machine.log());
    assert_eq!(machine.runs(), 1);
    machine.assert_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_one_works_and_both_end_with_its_verdict() {
    let machine = machine().await;
    let (first, second) = (counting(&machine, "c-1", "2"), counting(&machine, "c-2", "2"));
    let (first, second) = tokio::join!(first.to_the_end(), second.to_the_end());
    assert_eq!((first, second), (vec![0], vec![0]), "{}", machine.log());
    assert_eq!((machine.runs(), machine.finished().len()), (1, 1), "{}", machine.log());
    machine.assert_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_want_a_reboot_each_asks_for_it_once() {
    let machine = machine().await;
    let reboot = ["maintain", "--reboot"];
    let (first, second) = (command(&machine, "c-1", &reboot), command(&machine, "c-2", &reboot));
    let (one, two) = (first.start(), second.start());
    until(|| machine.operation().is_some_and(|operation| operation.also.len() == 1)).await;
    let (one, two) = tokio::join!(one.ends(), two.ends());
    assert_eq!((one, two), (194, 194), "{}", machine.log());
    machine.reboot().await;
    let (one, two) = tokio::join!(first.start().ends(), second.start().ends());
    assert_eq!((one, two), (0, 0), "{}", machine.log());
    assert_eq!((machine.finished().len(), machine.finished()[0].boots), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_something_else_has_to_wait_for_its_turn() {
    let machine = machine().await;
    let first = counting(&machine, "c-1", "2").start();
    machine.until_at(Phase::RunCommand).await;
    let run = machine.agent(&["maintain", "--reboot"]).await;
    run.says(75, &["is at run_command; wait until it is over", "node-agent status"]);
    assert_eq!(first.ends().await, 0, "{}", machine.log());
    machine.assert_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_patch_is_told_and_marked() {
    let machine = machine().await;
    let failed = command(&machine, "c-1", &["maintain", "--", "false"]);
    assert_eq!(failed.start().ends().await, 1, "{}", machine.log());
    assert!(machine.estate.lease_of(1).unwrap().contains("p=failed"));
}
