//! While the node is drained by hand.

use crate::fleet::{Fleet, PORT, finished, fleet, until, within};
use crate::{NEW_PORT, driven, is_registered, register};
use node_agent::maintenance::context::End;
use node_agent::record::mailbox::{Ask, Requests};
use node_agent::record::phase::Phase;
use node_agent::record::{Request, Verdict};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

async fn drained(fleet: &Fleet) -> JoinHandle<End> {
    let node = &fleet.nodes[0];
    let running = driven(node, Request { stay_out: true, ..node.run(&[]) });
    until(|| node.phase() == Some(Phase::Drained)).await;
    running
}

/// Waits until the node has left with this port, and is drained again.
async fn has_left_again(fleet: &Fleet, port: u16) {
    // Every two minutes, and what the deregistration takes.
    within(Duration::from_secs(140), || !is_registered(fleet, 0, port)).await;
    until(|| fleet.nodes[0].phase() == Some(Phase::Drained)).await;
    assert_eq!(fleet.state(&fleet.nodes[0].target_id, port), "unused");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_drained_node_leaves_again_whoever_waits_and_however_many_are_left() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = drained(&fleet).await;
    // The guard would not let it leave.
    fleet.nodes[1].service.set(None);
    for port in [PORT, NEW_PORT] {
        register(&fleet, 0, port);
        has_left_again(&fleet, port).await;
    }
    fleet.nodes[1].service.set(Some(200));
    Requests::beside(&node.settings.state_dir).leave(&Ask::ComeBack).unwrap();
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    assert_eq!(fleet.pairs(0), [(PORT, "healthy".to_owned()), (NEW_PORT, "healthy".to_owned())]);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_time_of_a_drained_node_does_not_start_anew_when_it_leaves_again() {
    let fleet = fleet().start().await;
    let running = drained(&fleet).await;
    let began = Instant::now();
    sleep(Duration::from_secs(3 * 3600)).await;
    register(&fleet, 0, PORT);
    has_left_again(&fleet, PORT).await;
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    let passed = began.elapsed().as_secs();
    assert!((4 * 3600..4 * 3600 + 60).contains(&passed), "{passed}");
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_fourth_time_people_are_told_and_a_drained_node_stays_registered() {
    let fleet = fleet().settings(|s| s.notify_command = vec!["tell".into()]).start().await;
    let node = &fleet.nodes[0];
    let _running = drained(&fleet).await;
    for _ in 0..3 {
        register(&fleet, 0, PORT);
        has_left_again(&fleet, PORT).await;
    }
    register(&fleet, 0, PORT);
    until(|| !node.machine.notified.lock().unwrap().is_empty()).await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!((node.phase(), is_registered(&fleet, 0, PORT)), (Some(Phase::Drained), true));
    let told = node.machine.notified.lock().unwrap().clone();
    assert!(told[0].contains("for the 4th time; find out what registers it"), "{told:?}");
    assert_eq!(told.len(), 1);
    sleep(Duration::from_secs(3600)).await;
    let told = node.machine.notified.lock().unwrap().clone();
    assert!(told.len() == 2 && told.iter().all(|told| told.contains("\"event\":\"registered\"")), "{told:?}");
    assert_eq!(fleet.leases().len(), 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_drained_node_that_somebody_registered_while_it_was_down_is_drained_again_after_the_boot() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = drained(&fleet).await;
    running.abort();
    let _ = running.await;
    register(&fleet, 0, NEW_PORT);
    node.boot().await;
    let mut driver = node.restarted();
    (driver.stays, driver.requests) = (true, Some(Requests::beside(&node.settings.state_dir)));
    let again = tokio::task::spawn_local(async move { driver.drive_and_stay().await.unwrap() });
    // The driver looks at once.
    within(Duration::from_secs(10), || !is_registered(&fleet, 0, NEW_PORT)).await;
    until(|| node.phase() == Some(Phase::Drained)).await;
    Requests::beside(&node.settings.state_dir).leave(&Ask::ComeBack).unwrap();
    assert_eq!(finished(again.await.unwrap()).verdict, Verdict::Succeeded);
    fleet.assert_restored();
}
