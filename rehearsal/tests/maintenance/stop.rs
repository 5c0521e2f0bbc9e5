//! Asked to stop.

use crate::fleet::{finished, fleet};
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test(flavor = "local", start_paused = true)]
async fn stopped_while_draining_the_node_turns_back() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::Drain).await;
    node.ask_to_stop();
    let finished = finished(running.await.unwrap());
    assert_eq!((finished.verdict, finished.exit_code), (Verdict::FailedButRestored, 1));
    assert!(node.machine.ran.lock().unwrap().is_empty());
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn stopped_while_waiting_nothing_has_changed() {
    let fleet = fleet().start().await;
    fleet.alb.set_tag(&fleet.arn, "node-agent/lease/i-other", "v1 p=held e=1 k=1");
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::AcquireLease).await;
    node.ask_to_stop();
    assert_eq!(finished(running.await.unwrap()).exit_code, 75);
    assert_eq!(fleet.leases().len(), 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn stopped_during_the_command_the_command_ends_and_the_node_comes_back() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    sleep(Duration::from_secs(1)).await;
    node.ask_to_stop();
    let finished = finished(running.await.unwrap());
    assert_eq!(finished.verdict, Verdict::FailedButRestored);
    assert_eq!(finished.reason.as_deref(), Some("run_command: the command was stopped"));
    assert_eq!(fleet.alb.instances_out(&fleet.arn), 0);
}
