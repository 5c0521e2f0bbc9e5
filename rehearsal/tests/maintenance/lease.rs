//! What becomes of a node's lease while it cannot leave: it is given back, shown to be alive, or left marked as failed.

use crate::fleet::{Builder, Fleet, PORT, finished, fleet, seconds, until, within};
use local_alb::Fault;
use node_agent::lease::{LeaseState, LeaseTag, Reading};
use node_agent::maintenance::context::End;
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const MINUTE: Duration = Duration::from_secs(60);

/// Three nodes, and a policy that says so: one that is gone is missed.
fn three() -> Builder {
    fleet().tag("fleet-size", "3")
}

/// The first node has claimed a slot, and a neighbour is taken out before the claim has settled.
async fn blocked_with_its_claim(fleet: &Fleet) -> JoinHandle<End> {
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::AcquireLease).await;
    until(|| fleet.lease(0).is_some_and(|lease| lease.contains("p=held"))).await;
    fleet.alb.deregister(&fleet.arn, &fleet.nodes[2].target_id, PORT);
    running
}

fn put_back(fleet: &Fleet) {
    fleet.alb.register(&fleet.arn, &fleet.nodes[2].target_id, PORT);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_that_is_blocked_right_before_leaving_gives_its_lease_back() {
    let fleet = three().start().await;
    let running = blocked_with_its_claim(&fleet).await;
    within(MINUTE, || fleet.leases().is_empty()).await;
    sleep(10 * MINUTE).await;
    assert_eq!(fleet.nodes[0].phase(), Some(Phase::CheckGroup));
    assert!(fleet.leases().is_empty() && fleet.calls("DeregisterTargets").is_empty());
    put_back(&fleet);
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_that_waits_long_for_its_second_slot_gives_the_first_back() {
    let fleet = fleet().two_groups().start().await;
    let key = fleet.lease_key(0);
    // Slots are taken in the order of the ARNs. That of the second group is in other hands.
    let mut arns = fleet.arns.clone();
    arns.sort();
    fleet.alb.set_tag(&arns[1], "node-agent/lease/i-other", "v1 p=held e=1 k=1");
    let running = fleet.nodes[0].begun(fleet.nodes[0].run(&["patch"]), Phase::AcquireLease).await;
    let holds_the_first = || fleet.alb.tags(&arns[0]).get(&key).is_some_and(|tag| tag.contains("p=held"));
    until(holds_the_first).await;
    let held = within(5 * MINUTE, || !holds_the_first()).await;
    assert!((120..150).contains(&held.as_secs()), "{held:?}");
    fleet.alb.remove_tag(&arns[1], "node-agent/lease/i-other");
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    assert!(arns.iter().all(|arn| !fleet.alb.tags(arn).contains_key(&key)));
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_that_failed_before_is_marked_again_when_it_is_blocked_and_when_it_gives_up() {
    let fleet = three().start().await;
    fleet.alb.set_tag(&fleet.arn, &fleet.lease_key(0), "v1 p=failed e=1");
    let running = blocked_with_its_claim(&fleet).await;
    within(MINUTE, || fleet.lease(0).is_some_and(|lease| lease.contains("p=failed"))).await;
    fleet.nodes[0].ask_to_stop();
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::NothingChanged);
    assert!(fleet.lease(0).unwrap().contains("p=failed"), "{:?}", fleet.leases());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_that_failed_before_stays_marked_when_it_turns_back() {
    let fleet = fleet().start().await;
    fleet.alb.set_tag(&fleet.arn, &fleet.lease_key(0), "v1 p=failed e=1");
    let running = fleet.nodes[0].begun(fleet.nodes[0].run(&["patch"]), Phase::Drain).await;
    assert!(fleet.lease(0).unwrap().contains("p=held"));
    fleet.nodes[0].ask_to_stop();
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::FailedButRestored);
    assert!(fleet.lease(0).unwrap().contains("p=failed"), "{:?}", fleet.leases());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_removal_without_an_answer_is_waited_out_before_the_next_claim() {
    let fleet = three().start().await;
    fleet.alb.script("RemoveTags", Fault::LandsLate(5 * MINUTE), 1);
    let running = blocked_with_its_claim(&fleet).await;
    within(MINUTE, || fleet.calls("RemoveTags").len() == 2).await;
    put_back(&fleet);
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    let (lost, claims) = (fleet.calls("RemoveTags")[0].at, fleet.calls("AddTags"));
    assert_eq!(claims.len(), 2);
    // Sooner, the removal could have taken the second claim away.
    assert!(claims[1].at >= lost + 15 * MINUTE, "{:?}", claims[1].at - lost);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_claim_without_an_answer_is_removed_if_it_lands_after_the_node_gave_up() {
    let fleet = three().settings(|s| s.lease_wait = seconds(120)).start().await;
    fleet.alb.script("AddTags", Fault::LandsLate(5 * MINUTE), 1);
    let running = blocked_with_its_claim(&fleet).await;
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::NothingChanged);
    sleep(20 * MINUTE).await;
    assert!(fleet.leases().is_empty(), "{:?}", fleet.leases());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_wait_that_is_longer_than_the_time_left_ends_with_it() {
    let fleet = three().settings(|s| s.lease_wait = seconds(600)).start().await;
    let began = Instant::now();
    // The next claim has to wait for this one, for longer than the node may wait in all.
    fleet.alb.script("RemoveTags", Fault::LandsLate(5 * MINUTE), 1);
    let running = blocked_with_its_claim(&fleet).await;
    within(MINUTE, || fleet.calls("RemoveTags").len() == 2).await;
    put_back(&fleet);
    within(11 * MINUTE, || fleet.nodes[0].phase() == Some(Phase::ReleaseLease)).await;
    assert!((600..602).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    let ended = finished(running.await.unwrap());
    assert_eq!((ended.verdict, ended.exit_code), (Verdict::NothingChanged, 75), "{ended:?}");
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_claim_that_is_not_permitted_ends_the_maintenance_at_once() {
    let fleet = fleet().start().await;
    for action in ["AddTags", "RemoveTags"] {
        fleet.alb.script(action, Fault::AccessDenied, 1000);
    }
    let began = Instant::now();
    let refused = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
    assert_eq!((refused.verdict, refused.exit_code), (Verdict::NothingChanged, 2), "{refused:?}");
    assert!(began.elapsed() < MINUTE, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_in_the_queue_shows_that_it_lives() {
    let fleet = fleet().start().await;
    fleet.alb.set_tag(&fleet.arn, "node-agent/lease/i-other", "v1 p=held e=1 k=1");
    let _running = fleet.nodes[0].begun(fleet.nodes[0].run(&["patch"]), Phase::AcquireLease).await;
    until(|| fleet.lease(0).is_some()).await;
    for _ in 0..3 {
        let before = place(&fleet);
        // Others take an entry for dead that does not change for six minutes.
        sleep(5 * MINUTE).await;
        let after = place(&fleet);
        assert_eq!((after.ticket, &after.nonce), (before.ticket, &before.nonce), "it keeps its place");
        assert!(after.sequence > before.sequence, "{before} {after}");
    }
}

/// The place of the first node in the queue.
fn place(fleet: &Fleet) -> LeaseTag {
    match Reading::parse(&fleet.lease(0).unwrap()) {
        Reading::Tag(tag) if tag.state == LeaseState::Waiting => tag,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_throttled_place_in_the_queue_is_taken_a_moment_later() {
    let fleet = fleet().start().await;
    fleet.alb.set_tag(&fleet.arn, "node-agent/lease/i-other", "v1 p=held e=1 k=1");
    fleet.alb.script("AddTags", Fault::Throttled, 1);
    let _running = fleet.nodes[0].begun(fleet.nodes[0].run(&["patch"]), Phase::AcquireLease).await;
    until(|| fleet.calls("AddTags").len() == 1).await;
    within(Duration::from_secs(10), || fleet.lease(0).is_some()).await;
    assert_eq!(place(&fleet).ticket, 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_for_whose_place_there_is_no_room_waits_outside_the_queue() {
    let fleet = fleet().start().await;
    let other = "node-agent/lease/i-other";
    fleet.alb.set_tag(&fleet.arn, other, "v1 p=held e=1 k=1");
    fleet.alb.script("AddTags", Fault::Throttled, 5);
    let running = fleet.nodes[0].begun(fleet.nodes[0].run(&["patch"]), Phase::AcquireLease).await;
    until(|| fleet.calls("AddTags").len() == 1).await;
    // The last room goes before it tries again.
    let owners: Vec<_> = (0..49).map(|number| format!("owner-{number}")).collect();
    owners.iter().for_each(|key| fleet.alb.set_tag(&fleet.arn, key, "x"));
    until(|| fleet.calls("AddTags").len() == 6).await;
    sleep(MINUTE).await;
    assert_eq!((fleet.nodes[0].phase(), fleet.lease(0)), (Some(Phase::AcquireLease), None));
    owners.iter().map(String::as_str).chain([other]).for_each(|key| fleet.alb.remove_tag(&fleet.arn, key));
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_that_may_no_longer_refresh_its_place_gives_it_up() {
    let fleet = fleet().start().await;
    fleet.alb.set_tag(&fleet.arn, "node-agent/lease/i-other", "v1 p=held e=1 k=1");
    let running = fleet.nodes[0].begun(fleet.nodes[0].run(&["patch"]), Phase::AcquireLease).await;
    until(|| fleet.lease(0).is_some()).await;
    fleet.alb.script("AddTags", Fault::AccessDenied, 1000);
    let ended = finished(running.await.unwrap());
    assert_eq!((ended.verdict, ended.exit_code), (Verdict::NothingChanged, 2), "{ended:?}");
    assert_eq!(fleet.lease(0), None);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_pause_ends_the_wait_in_the_queue() {
    let fleet = fleet().start().await;
    fleet.alb.set_tag(&fleet.arn, "node-agent/lease/i-other", "v1 p=held e=1 k=1");
    let running = fleet.nodes[0].begun(fleet.nodes[0].run(&["patch"]), Phase::AcquireLease).await;
    until(|| fleet.lease(0).is_some()).await;
    fleet.alb.set_tag(&fleet.arn, "node-agent/paused", "release day");
    within(MINUTE, || running.is_finished()).await;
    let ended = finished(running.await.unwrap());
    assert_eq!((ended.verdict, ended.exit_code), (Verdict::NothingChanged, 75), "{ended:?}");
    assert_eq!(fleet.lease(0), None);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_lease_goes_back_within_a_minute_after_a_long_outage() {
    let fleet = fleet().start().await;
    let running = fleet.nodes[0].begun(fleet.nodes[0].run(&["patch"]), Phase::WaitInService).await;
    fleet.alb.script("RemoveTags", Fault::Refused, 1000);
    sleep(3 * 60 * MINUTE).await;
    assert!(fleet.lease(0).is_some());
    fleet.alb.clear_script();
    within(MINUTE + Duration::from_secs(1), || fleet.lease(0).is_none()).await;
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_claim_that_could_not_settle_in_time_is_not_written() {
    let fleet = fleet().settings(|s| s.lease_wait = seconds(5)).start().await;
    let ended = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
    assert_eq!((ended.verdict, ended.exit_code), (Verdict::NothingChanged, 75), "{ended:?}");
    assert!(ended.reason.as_ref().unwrap().contains("less than 10s of 5s is left"), "{ended:?}");
    assert!(fleet.calls("AddTags").is_empty());
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_slot_that_comes_free_at_the_last_moment_is_left_to_others() {
    let fleet = fleet().settings(|s| s.lease_wait = seconds(60)).start().await;
    let held = fleet.nodes[1].begun(fleet.nodes[1].run(&["patch"]), Phase::Drain).await;
    let waiting = tokio::task::spawn_local({
        let node = fleet.nodes[0].clone();
        async move { node.finish(node.run(&["patch"])).await }
    });
    sleep(Duration::from_secs(53)).await;
    held.abort();
    fleet.alb.remove_tag(&fleet.arn, &fleet.lease_key(1));
    let ended = waiting.await.unwrap();
    assert_eq!((ended.verdict, ended.exit_code), (Verdict::NothingChanged, 75), "{ended:?}");
    assert!(fleet.calls("DeregisterTargets").len() == 1, "only the first one left");
}
