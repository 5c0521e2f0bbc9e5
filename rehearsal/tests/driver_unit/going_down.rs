//! The machine goes down while a script of the SSM agent runs.

use crate::estate::until;
use crate::machine::{Machine, machine};
use crate::ssm_agent::{Command, Delivery, Document};
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;

async fn managed() -> Machine {
    let machine = machine().await;
    machine.ssm.start(Delivery::Mgs).await;
    machine
}

fn counting(machine: &Machine, seconds: &str) -> Command {
    let script = machine.counting(seconds);
    machine.ssm.send("c-1", "run", &format!("exec node-agent maintain -- sh -c '{}'", script[2]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_killed_by_somebody_elses_reboot_has_failed_and_the_maintenance_has_its_own_verdict() {
    let machine = managed().await;
    let patch = counting(&machine, "60");
    until(|| machine.runs() == 1).await;
    machine.reboot().await;
    machine.until(|| patch.is_over()).await;
    assert_eq!(patch.codes(), [1]);
    assert!(patch.stderr().contains("document process failed unexpectedly"), "{}", patch.stderr());
    machine.until_finished(1).await;
    let finished = &machine.finished()[0];
    assert_eq!(finished.verdict, Verdict::FailedButRestored);
    assert!(finished.reason.as_ref().unwrap().contains("it is not run again"), "{finished:?}");
    assert_eq!(machine.estate.alb.instances_out(&machine.estate.arn), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_cannot_start_the_driver_before_a_reboot_runs_again_after_it() {
    let machine = managed().await;
    machine.goes_down("reboot").await;
    let reboot = machine.ssm.send("c-1", "run", &Document::Maintain.script(&[]));
    until(|| reboot.is_rebooting()).await;
    machine.reboot().await;
    // The reboot that was under way was not that of the maintenance.
    machine.until(|| reboot.is_over()).await;
    assert_eq!(reboot.codes(), [194, 194, 0], "{}", machine.log());
    assert_eq!((machine.finished().len(), machine.finished()[0].verdict), (1, Verdict::Succeeded));
    machine.assert_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_whose_driver_has_gone_down_for_the_reboot_answers_194_again() {
    let machine = managed().await;
    let reboot = machine.ssm.send("c-1", "run", &Document::Maintain.script(&[]));
    until(|| reboot.is_rebooting()).await;
    // The agent is started again while the machine is already going down.
    machine.ssm.stop();
    machine.goes_down("reboot").await;
    machine.ssm.start(Delivery::Mgs).await;
    until(|| reboot.is_rebooting() && reboot.codes().len() == 2).await;
    machine.reboot().await;
    machine.until(|| reboot.is_over()).await;
    assert_eq!(reboot.codes(), [194, 194, 0], "{}", machine.log());
    assert_eq!((machine.boots(), machine.finished().len()), (1, 1));
    machine.assert_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn before_a_power_off_a_script_does_not_ask_for_a_reboot() {
    let machine = managed().await;
    machine.goes_down("poweroff").await;
    let reboot = machine.ssm.send("c-1", "run", &Document::Maintain.script(&[]));
    until(|| reboot.is_over()).await;
    assert_eq!(reboot.codes(), [75]);
    let told = reboot.stderr();
    assert!(told.contains("the machine is going down: nothing was started"), "{told}");
    assert!(!machine.is_to_reboot());
    machine.estate.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_out_is_never_told_to_be_as_it_was() {
    let machine = managed().await;
    let patch = counting(&machine, "60");
    until(|| machine.runs() == 1).await;
    machine.until_at(Phase::RunCommand).await;
    crate::ssm::cancel(&patch);
    until(|| patch.is_over()).await;
    // The driver does not start, and the machine does not go down.
    std::fs::write(machine.file("start"), "exit 1\n").unwrap();
    let refused = machine.ssm.send("c-1", "run", &the_script_of(&machine));
    until(|| refused.is_over()).await;
    // As on a disk that the patch has filled.
    std::fs::remove_dir_all(machine.file("state/requests")).unwrap();
    std::fs::write(machine.file("state/requests"), "").unwrap();
    let unasked = machine.ssm.send("c-1", "run", &the_script_of(&machine));
    until(|| unasked.is_over()).await;
    for (command, why) in [(refused, "failed to start the driver"), (unasked, "failed to ask the driver")] {
        let told = command.stderr();
        assert_eq!(command.codes(), [3], "{told}");
        assert!(told.contains(why) && told.contains("is in phase run_command"), "{told}");
        assert!(told.contains("then run `node-agent resume`"), "{told}");
        assert!(!told.contains("nothing was started"), "{told}");
    }
}

fn the_script_of(machine: &Machine) -> String {
    format!("exec node-agent maintain -- sh -c '{}'", machine.counting("60")[2])
}
