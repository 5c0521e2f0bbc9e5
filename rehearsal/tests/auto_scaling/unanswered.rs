//! Calls that fail, and calls that take effect late.

use crate::fleet::until;
use crate::group::{as_before, calls, scaled, standby, state};
use local_alb::Fault;
use node_agent::record::Verdict;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(flavor = "local", start_paused = true)]
async fn lost_and_refused_answers_are_looked_up() {
    for fault in [Fault::LostAnswer, Fault::Throttled, Fault::Refused, Fault::ServerError] {
        let fleet = scaled(standby()).await;
        for action in
            ["EnterStandby", "ExitStandby", "DescribeAutoScalingInstances", "DescribeAutoScalingGroups"]
        {
            fleet.alb.script(action, fault, 1);
        }
        let finished = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
        assert_eq!(finished.verdict, Verdict::Succeeded, "{fault:?}: {finished:?}");
        as_before(&fleet);
        fleet.assert_restored();
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_enter_standby_that_lands_after_the_way_back_is_undone_before_the_lease_is_given_back() {
    let fleet = scaled(standby()).await;
    fleet.alb.script("EnterStandby", Fault::LandsLate(Duration::from_secs(600)), 1);
    let watch = fleet.watch();
    let node = fleet.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    until(|| calls(&fleet, "ExitStandby") == 1).await;
    until(|| state(&fleet) == "InService").await;
    // In service again; now it lands.
    until(|| state(&fleet) == "EnteringStandby").await;
    assert_eq!(fleet.leases().len(), 1, "nobody else may leave");
    let finished = running.await.unwrap();
    assert_eq!(finished.verdict, Verdict::Succeeded, "{finished:?}");
    assert_eq!((calls(&fleet, "EnterStandby"), calls(&fleet, "ExitStandby")), (2, 2));
    assert_eq!(watch.most_out(), 1);
    as_before(&fleet);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_standby_that_is_known_to_have_come_does_not_keep_the_lease() {
    for fault in [None, Some(Fault::Throttled), Some(Fault::LostAnswer)] {
        let fleet = scaled(standby()).await;
        if let Some(fault) = fault {
            fleet.alb.script("EnterStandby", fault, 1);
        }
        let began = Instant::now();
        let ended = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
        assert_eq!(ended.verdict, Verdict::Succeeded, "{fault:?}");
        // What has no answer and may still come is waited for, for 15 minutes.
        assert!(began.elapsed() < Duration::from_secs(300), "{fault:?}: {:?}", began.elapsed());
        as_before(&fleet);
        fleet.assert_restored();
    }
}
