//! The idle colour of a blue/green pair: no listener forwards to the group, and nobody checks the health of its targets.

use crate::fleet::{Fleet, PORT, finished, fleet, until};

use node_agent::machine::systemd::GoingDown;
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;

fn assert_as_before(fleet: &Fleet) {
    assert!(fleet.leases().is_empty(), "{:?}", fleet.leases());
    for node in &fleet.nodes {
        assert_eq!(fleet.state(&node.target_id, PORT), "unused");
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn its_nodes_are_maintained_by_turns() {
    let fleet = fleet().idle().start().await;
    for finished in fleet.reboot_three_at_once().await {
        assert_eq!(finished.verdict, Verdict::Succeeded, "{finished:?}");
    }
    let moves = fleet.alb.calls().into_iter().map(|call| call.action);
    let moves: Vec<_> = moves.filter(|a| a == "DeregisterTargets" || a == "RegisterTargets").collect();
    assert_eq!(moves, ["DeregisterTargets", "RegisterTargets"].repeat(3));
    assert_as_before(&fleet);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_that_is_out_while_its_group_goes_live_comes_back_healthy() {
    let fleet = fleet().idle().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    fleet.alb.set_in_use(&fleet.arn, true);
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    fleet.until_in_service().await;
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_that_is_out_while_its_group_becomes_idle_ends_there() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    fleet.alb.set_in_use(&fleet.arn, false);
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    assert_as_before(&fleet);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_service_that_fails_its_check_is_found_before_it_leaves() {
    let fleet = fleet().idle().start().await;
    let node = &fleet.nodes[0];
    node.service.set(Some(500));
    let refused = node.finish(node.run(&["patch"])).await;
    assert_eq!((refused.verdict, refused.exit_code), (Verdict::NothingChanged, 2));
    let reason = refused.reason.unwrap();
    assert!(
        reason.contains("reports no fault of this node in target group web, but its own check fails"),
        "{reason}"
    );
    assert!(fleet.calls("DeregisterTargets").is_empty());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn it_is_drained_before_a_plain_reboot_and_returns() {
    let fleet = fleet().idle().start().await;
    let node = &fleet.nodes[0];
    node.leave_before(GoingDown::Reboot).await;
    assert_eq!(fleet.calls("DeregisterTargets").len(), 1);
    node.boot().await;
    let mut driver = node.restarted();
    driver.drive().await.unwrap();
    until(|| fleet.lease(0).is_none()).await;
    assert_as_before(&fleet);
}
