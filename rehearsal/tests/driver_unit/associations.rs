//! Commands of an association, which have the same id in every week.

use crate::machine::{Machine, machine};
use crate::ssm_agent::{Delivery, Document};
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;

const ASSOCIATION: &str = "8dfe3659-4309-493a-8755-0123456789ab";
const WEEKS: usize = 3;

async fn managed() -> Machine {
    let machine = machine().await;
    machine.ssm.start(Delivery::Mgs).await;
    machine
}

/// Runs a script as the association does in this week, to its end. Returns the exit codes.
async fn ends(machine: &Machine, week: usize, script: &str) -> Vec<i32> {
    let run = format!("2026-11-{:02}T02-00-00.000Z", week * 7 + 1);
    let command = machine.ssm.send(ASSOCIATION, &run, script);
    machine.until(|| command.is_over()).await;
    command.codes()
}

/// Every week the node is maintained once, with one reboot.
async fn maintains_every_week(script: &str) {
    let machine = managed().await;
    for week in 1..=WEEKS {
        assert_eq!(ends(&machine, week, script).await, [194, 0], "week {week}: {}", machine.log());
        let finished = machine.finished();
        assert_eq!((finished.len(), finished[week - 1].verdict), (week, Verdict::Succeeded));
        assert_eq!((machine.boots() as usize, machine.is_to_reboot()), (week, false));
        machine.assert_restored();
    }
}

/// Every week the node is out when the hook has ended, and comes back.
async fn drains_every_week(script: &str) {
    let machine = managed().await;
    for week in 1..=WEEKS {
        assert_eq!(ends(&machine, week, script).await, [0], "week {week}: {}", machine.log());
        assert_eq!(machine.phase(), Some(Phase::Drained), "week {week}");
        assert_eq!(machine.estate.alb.instances_out(&machine.estate.arn), 1, "week {week}");
        assert_eq!(ends(&machine, week, &Document::Rejoin.script(&[])).await, [0], "week {week}");
        assert_eq!(machine.finished().len(), week);
        machine.assert_restored();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_maintain_document_works_every_week() {
    maintains_every_week(&Document::Maintain.script(&[])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_drain_document_takes_the_node_out_every_week() {
    drains_every_week(&Document::Drain.script(&[])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_of_ones_own_that_does_not_tell_its_run_works_every_week() {
    maintains_every_week("exec node-agent maintain --reboot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_of_ones_own_that_does_not_tell_its_run_takes_the_node_out_every_week() {
    drains_every_week("exec node-agent drain").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_without_a_reboot_runs_every_week() {
    let machine = managed().await;
    let patch = &machine.counting("0")[2];
    let script = format!("exec node-agent maintain -- sh -c '{patch}'");
    for week in 1..=WEEKS {
        assert_eq!(ends(&machine, week, &script).await, [0], "week {week}: {}", machine.log());
        assert_eq!((machine.runs(), machine.finished().len()), (week, week));
    }
    machine.assert_restored();
}
