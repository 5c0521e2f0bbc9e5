//! Stopped or killed on the way: the node comes back.

use crate::fleet::{Fleet, finished, until};
use crate::group::{as_before, calls, scaled, standby, state};
use node_agent::record::Verdict;
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test(flavor = "local", start_paused = true)]
async fn cancelled_while_it_leaves_it_comes_back() {
    let fleet = scaled(standby()).await;
    let node = fleet.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    until(|| state(&fleet) == "EnteringStandby").await;
    fleet.nodes[0].ask_to_stop();
    assert_eq!(running.await.unwrap().verdict, Verdict::FailedButRestored);
    as_before(&fleet);
    fleet.assert_restored();
}

/// Killed as soon as this holds, and resumed.
async fn killed_when(holds: impl Fn(&Fleet) -> bool) {
    let fleet = scaled(standby()).await;
    let node = fleet.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.maintain(node.run(&["patch"])).await });
    while !holds(&fleet) {
        assert!(!running.is_finished(), "ended before it could be killed");
        sleep(Duration::from_millis(1)).await;
    }
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert!(fleet.nodes[0].operation().unwrap().standby.is_some());
    let finished = finished(fleet.nodes[0].resume().await);
    assert_ne!(finished.verdict, Verdict::NothingChanged, "{finished:?}");
    as_before(&fleet);
    assert!(fleet.leases().values().all(|lease| lease.contains("p=failed")), "{:?}", fleet.leases());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn killed_when_out_is_on_record_it_comes_back() {
    killed_when(|fleet| fleet.nodes[0].operation().is_some_and(|operation| operation.left.is_some())).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn killed_when_enter_standby_is_sent_it_comes_back() {
    killed_when(|fleet| calls(fleet, "EnterStandby") == 1).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn killed_in_standby_it_comes_back() {
    killed_when(|fleet| state(fleet) == "Standby").await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn killed_when_exit_standby_is_sent_it_comes_back() {
    killed_when(|fleet| calls(fleet, "ExitStandby") == 1).await;
}
