//! How long a maintenance waits, and how often it asks meanwhile.

use crate::fleet::{finished, fleet, seconds, within};
use local_alb::{Fault, Faults};
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_group_without_room_for_a_lease_is_tried_less_and_less_often() {
    let faults = Faults { latency: Duration::from_millis(500), ..Faults::default() };
    let fleet = fleet().faults(faults).settings(|s| s.lease_wait = seconds(1800)).start().await;
    for number in 0..50 {
        fleet.alb.set_tag(&fleet.arn, &format!("owner-{number}"), "x");
    }
    let node = fleet.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    within(Duration::from_secs(1860), || running.is_finished()).await;
    let ended = running.await.unwrap();
    assert_eq!((ended.verdict, ended.exit_code), (Verdict::NothingChanged, 75));
    let tried = fleet.calls("AddTags").len();
    // Once a minute at the longest, with jitter.
    assert!((25..100).contains(&tried), "{tried} times in half an hour");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_lease_that_cannot_be_written_is_tried_less_and_less_often() {
    // A claim of a free slot, and a place in the queue behind another node.
    for other in [None, Some("v1 p=held e=1 k=1")] {
        let fleet = fleet().start().await;
        if let Some(other) = other {
            fleet.alb.set_tag(&fleet.arn, "node-agent/lease/i-other", other);
        }
        fleet.alb.script("AddTags", Fault::ServerError, 10_000);
        let _running = fleet.nodes[0].begun(fleet.nodes[0].run(&["patch"]), Phase::AcquireLease).await;
        sleep(Duration::from_secs(600)).await;
        let tried = fleet.calls("AddTags").len();
        // Each call is made a few times by the SDK. Once a minute at the longest.
        assert!((5..80).contains(&tried), "{tried} times in ten minutes, behind {other:?}");
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn what_was_asked_for_is_on_record_before_anything_is_waited_for() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    // The first look is spread over minutes.
    node.has_seen_a_fleet_of(1000);
    let asked = node.clone();
    let running = tokio::task::spawn_local(async move { asked.maintain(asked.run(&["patch"])).await });
    sleep(Duration::from_secs(1)).await;
    assert!(fleet.alb.calls().is_empty());
    assert_eq!(node.operation().map(|operation| operation.request), Some(node.run(&["patch"])));
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn what_was_refused_is_not_waited_for_as_what_has_no_answer() {
    let fleet = fleet().start().await;
    for action in ["AddTags", "DeregisterTargets", "RemoveTags"] {
        fleet.alb.script(action, Fault::Throttled, 1);
    }
    let began = Instant::now();
    let ended = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
    assert_eq!(ended.verdict, Verdict::Succeeded);
    assert!(began.elapsed() < Duration::from_secs(240), "{:?}", began.elapsed());
    fleet.assert_restored();
}
