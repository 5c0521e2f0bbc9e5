//! The API fails, or answers too late.

use crate::fleet::{finished, fleet, logged};
use local_alb::{Fault, Faults};
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_outage_of_the_api_while_out_is_sat_through() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.reboot(), Phase::Drain).await;
    fleet.alb.set_faults(Faults { refuse: true, ..Faults::default() });
    sleep(Duration::from_secs(90)).await;
    fleet.alb.set_faults(Faults::default());
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn throttling_slows_a_maintenance_down_and_does_not_end_it() {
    let log = logged();
    let fleet = fleet().start().await;
    for action in [
        "DescribeTargetHealth",
        "DescribeTags",
        "AddTags",
        "DeregisterTargets",
        "RegisterTargets",
        "RemoveTags",
    ] {
        fleet.alb.script(action, Fault::Throttled, 4);
    }
    let finished = fleet.nodes[0].finish(fleet.nodes[0].reboot()).await;
    assert_eq!(finished.verdict, Verdict::Succeeded, "{finished:?}");
    fleet.assert_restored();
    log.says("the API is throttling this account");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_deregistration_without_an_answer_keeps_the_lease_until_it_cannot_land_any_more() {
    let log = logged();
    let fleet = fleet().start().await;
    fleet.alb.script("DeregisterTargets", Fault::LostAnswer, 1);
    let began = Instant::now();
    let finished = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
    assert_eq!(finished.verdict, Verdict::Succeeded);
    assert!(began.elapsed() >= Duration::from_secs(15 * 60), "{:?}", began.elapsed());
    fleet.assert_restored();
    log.says("until the unanswered DeregisterTargets can no longer take effect");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_deregistration_that_lands_late_is_undone_before_the_lease_is_given_back() {
    let fleet = fleet().start().await;
    fleet.alb.script("DeregisterTargets", Fault::LandsLate(Duration::from_secs(600)), 1);
    let watch = fleet.watch();
    let nodes = &fleet.nodes;
    let (a, b) =
        tokio::join!(nodes[0].finish(nodes[0].run(&["patch"])), nodes[1].finish(nodes[1].run(&["patch"])));
    assert_eq!((a.verdict, b.verdict), (Verdict::Succeeded, Verdict::Succeeded));
    assert_eq!(watch.most_out(), 1);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_claim_whose_answer_was_lost_is_made_again_as_a_claim_of_its_own() {
    let fleet = fleet().start().await;
    fleet.alb.script("AddTags", Fault::LostAnswer, 1);
    let finished = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
    assert_eq!(finished.verdict, Verdict::Succeeded);
    let values: Vec<_> = fleet
        .alb
        .calls()
        .into_iter()
        .filter(|call| call.action == "AddTags")
        .flat_map(|call| call.parameters.into_iter().find(|(name, _)| name == "Tags.member.1.Value"))
        .collect();
    assert_eq!(values.len(), 2);
    assert_ne!(values[0], values[1], "the lost one could land later and pass for the one that has settled");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn nothing_is_sent_twice_behind_our_back() {
    let fleet = fleet().start().await;
    fleet.alb.script("RemoveTags", Fault::ServerError, 1);
    let finished = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
    assert_eq!(finished.verdict, Verdict::Succeeded);
    let calls = fleet.alb.calls();
    let count = |action: &str| calls.iter().filter(|call| call.action == action).count();
    // One failed, one made by us; the SDK adds none.
    assert_eq!(count("RemoveTags"), 2);
    assert_eq!(count("DeregisterTargets"), 1);
    assert_eq!(count("RegisterTargets"), 1);
}
