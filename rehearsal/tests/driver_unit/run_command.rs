//! What the SSM agent may rely on.

use crate::estate::{lease_key, until};
use crate::machine::{Machine, machine};
use crate::ssm::cancel;
use crate::ssm_agent::{Command, Delivery, Document};
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;

/// A machine on which the SSM agent runs.
async fn managed(delivery: Delivery) -> Machine {
    let machine = machine().await;
    machine.ssm.start(delivery).await;
    machine
}

/// A command line as the only line of a script.
fn send(machine: &Machine, id: &str, line: &str) -> Command {
    machine.ssm.send(id, "run", line)
}

fn counting(machine: &Machine, id: &str, seconds: &str) -> Command {
    let command = machine.counting(seconds);
    send(machine, id, &format!("exec node-agent maintain -- sh -c '{}'", command[2]))
}

/// Waits for the verdict of each command, with the reboots that are asked for. Returns what its runs ended with.
async fn codes<const N: usize>(machine: &Machine, commands: [&Command; N]) -> [Vec<i32>; N] {
    machine.until(|| commands.iter().all(|command| command.is_over())).await;
    commands.map(Command::codes)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reboot_is_asked_for_once_and_the_second_run_ends_as_the_maintenance_does() {
    for delivery in Delivery::BOTH {
        let machine = managed(delivery).await;
        let reboot = machine.ssm.send("c-1", "run", &Document::Maintain.script(&[]));
        assert_eq!(codes(&machine, [&reboot]).await, [[194, 0]], "{}{}", reboot.stderr(), machine.log());
        let finished = machine.finished();
        assert_eq!((finished.len(), finished[0].verdict, finished[0].boots), (1, Verdict::Succeeded, 1));
        assert_eq!((machine.boots(), machine.is_to_reboot()), (1, false));
        machine.assert_restored();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_after_the_boot_unit_has_finished_only_reports() {
    let machine = managed(Delivery::Mgs).await;
    let reboot = send(&machine, "c-1", "exec node-agent maintain --reboot");
    machine.until(|| reboot.is_rebooting()).await;
    // The agent is started late.
    machine.ssm.stop();
    machine.reboot().await;
    machine.until_finished(1).await;
    until(|| machine.phase().is_none()).await;
    let calls = machine.estate.alb.calls().len();
    machine.ssm.start(Delivery::Mgs).await;
    assert_eq!(codes(&machine, [&reboot]).await, [[194, 0]], "{}", reboot.stderr());
    assert!(reboot.stdout().contains("succeeded"), "{}", reboot.stdout());
    assert_eq!(machine.finished().len(), 1);
    let since: Vec<_> = machine.estate.alb.calls().into_iter().skip(calls).map(|call| call.action).collect();
    assert!(since.iter().all(|action| action.starts_with("Describe")), "{since:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_again_before_the_machine_is_down_it_answers_194_again_and_makes_one_reboot() {
    for delivery in Delivery::BOTH {
        let machine = managed(delivery).await;
        std::fs::write(machine.file("minute"), "3000\n").unwrap();
        let reboot = machine.ssm.send("c-1", "run", &Document::Maintain.script(&[]));
        until(|| reboot.is_rebooting()).await;
        machine.ssm.stop();
        machine.ssm.start(delivery).await;
        assert_eq!(codes(&machine, [&reboot]).await, [[194, 194, 0]], "{}", reboot.stderr());
        assert_eq!((machine.boots(), machine.is_to_reboot(), machine.finished().len()), (1, false, 1));
        machine.assert_restored();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_before_the_node_has_left_it_stays_in_service() {
    let machine = managed(Delivery::Mgs).await;
    machine.estate.alb.set_tag(&machine.estate.arn, &lease_key(2), "v1 p=held e=1 k=1");
    let reboot = send(&machine, "c-1", "exec node-agent maintain --reboot");
    machine.until_at(Phase::AcquireLease).await;
    cancel(&reboot);
    machine.until_finished(1).await;
    let finished = &machine.finished()[0];
    assert_eq!((finished.verdict, finished.exit_code), (Verdict::NothingChanged, 75));
    assert!(finished.reason.as_ref().unwrap().contains("no client waits for it any more"), "{finished:?}");
    machine.assert_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_after_the_node_has_left_it_is_finished() {
    let machine = managed(Delivery::Mgs).await;
    let patch = counting(&machine, "c-1", "2");
    machine.until_at(Phase::RunCommand).await;
    cancel(&patch);
    machine.until_finished(1).await;
    assert_eq!(codes(&machine, [&patch]).await, [[137]]);
    assert_eq!(machine.finished()[0].verdict, Verdict::Succeeded, "{}", machine.log());
    assert_eq!(machine.runs(), 1);
    machine.assert_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_one_works_and_both_end_with_its_verdict() {
    let machine = managed(Delivery::Mgs).await;
    let (first, second) = (counting(&machine, "c-1", "2"), counting(&machine, "c-2", "2"));
    assert_eq!(codes(&machine, [&first, &second]).await, [[0], [0]], "{}", machine.log());
    assert_eq!((machine.runs(), machine.finished().len()), (1, 1), "{}", machine.log());
    machine.assert_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_want_a_reboot_one_asks_for_it() {
    for delivery in Delivery::BOTH {
        let machine = managed(delivery).await;
        let script = Document::Maintain.script(&[]);
        let both = ["c-1", "c-2"].map(|id| machine.ssm.send(id, "run", &script));
        let mut ended = codes(&machine, [&both[0], &both[1]]).await;
        ended.sort();
        assert_eq!(ended, [vec![75], vec![194, 0]], "{delivery:?}: {}", machine.log());
        let told: String = both.iter().map(Command::stderr).collect();
        assert!(told.contains("has asked the SSM agent for the reboot of this node"), "{told}");
        assert_eq!((machine.finished().len(), machine.finished()[0].boots), (1, 1));
        assert_eq!((machine.boots(), machine.is_to_reboot()), (1, false), "{delivery:?}");
        machine.assert_restored();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_something_else_has_to_wait_for_its_turn() {
    let machine = managed(Delivery::Mgs).await;
    let first = counting(&machine, "c-1", "2");
    machine.until_at(Phase::RunCommand).await;
    let run = machine.agent(&["maintain", "--reboot"]).await;
    run.says(75, &["is at run_command; wait until it is over", "node-agent status"]);
    assert_eq!(codes(&machine, [&first]).await, [[0]], "{}", machine.log());
    machine.assert_restored();
}

/// A command with more output than Run Command shows.
const LOUD: &str = "seq 1 6000; echo E: Could not get lock /var/lib/dpkg/lock-frontend >&2; exit";

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_patch_is_told_with_its_last_lines_and_marked() {
    let machine = managed(Delivery::Mgs).await;
    let failed = send(&machine, "c-1", &format!("exec node-agent maintain -- sh -c '{LOUD} 100'"));
    assert_eq!(codes(&machine, [&failed]).await, [[1]], "{}", machine.log());
    assert!(machine.estate.lease_of(1).unwrap().contains("p=failed"));
    let told = failed.stdout();
    let last = "the command exited with 100; the end of its output (`journalctl -u node-agent` has all of it):\n5992\n";
    assert!(
        told.contains(last) && told.contains("\n6000\nE: Could not get lock /var/lib/dpkg/lock-frontend\n"),
        "{told}"
    );
    assert!(told.chars().count() <= 2000, "{}", told.len());
    assert!(!failed.stderr().contains("6000"), "the rest is in the log of the unit: {}", failed.stderr());
    assert!(machine.log().contains("\n1\n2\n3\n") && machine.log().contains("\n6000\n"));
    assert_eq!(machine.finished()[0].reason.as_ref().unwrap().lines().count(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn much_output_before_the_reboot_does_not_hide_the_verdict() {
    let machine = managed(Delivery::Mgs).await;
    let patch =
        machine.ssm.send("c-1", "run", &Document::Maintain.script(&[("command", &format!("{LOUD} 0"))]));
    assert_eq!(codes(&machine, [&patch]).await, [[194, 0]], "{}", machine.log());
    let told = patch.stdout();
    assert!(told.chars().count() <= 2000 && told.ends_with("\nsucceeded\n"), "{told}");
    assert!(patch.stderr().contains("the driver is in phase drain"), "{}", patch.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_unit_the_output_of_the_command_is_on_standard_error() {
    let estate = crate::estate::estate().await;
    let run = estate.agent(&["maintain", "--", "sh", "-c", &format!("{LOUD} 7")]).await;
    run.says(1, &["the command exited with 7; the end of its output:\n", "E: Could not get lock"]);
    assert!(run.err.contains("\n1\n2\n3\n") && run.out.chars().count() <= 2000, "{}", run.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_driver_misses_is_told_to_the_script() {
    let mut machine = machine().await;
    machine.set("AWS_EC2_METADATA_DISABLED", "true".to_owned());
    machine.ssm.start(Delivery::Mgs).await;
    let patch = counting(&machine, "c-1", "0");
    assert_eq!(codes(&machine, [&patch]).await, [[75]], "{}", machine.log());
    let told = patch.stderr();
    assert!(told.contains("failed to get the instance id") && told.contains("set --instance-id"), "{told}");
    machine.estate.is_untouched();
}
