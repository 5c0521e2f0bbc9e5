//! One after another, as the lease says.

use crate::fleet::{Fleet, PORT, finished, fleet, logged, seconds, until};
use local_alb::Fault;
use node_agent::record::Verdict;
use node_agent::record::phase::{Outcome, Phase};
use std::sync::atomic::Ordering;
use std::time::Duration;

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_reboots_and_comes_back_with_its_port_and_without_its_lease() {
    let fleet = fleet().start().await;
    let finished = fleet.nodes[0].finish(fleet.nodes[0].reboot()).await;
    assert_eq!((finished.verdict, finished.exit_code), (Verdict::Succeeded, 0));
    assert_eq!(fleet.nodes[0].machine.reboots.load(Ordering::Relaxed), 1);
    assert_eq!(fleet.pairs(0), [(PORT, "healthy".to_owned())]);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn three_nodes_at_once_leave_one_at_a_time() {
    let fleet = fleet().start().await;
    let watch = fleet.watch();
    for finished in fleet.reboot_three_at_once().await {
        assert_eq!(finished.verdict, Verdict::Succeeded, "{finished:?}");
    }
    assert_eq!(watch.most_out(), 1);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_key_of_a_lease_can_carry_the_role_that_iam_pins_it_to() {
    let fleet = fleet().settings(|s| s.lease_role_id = Some("AROAEXAMPLEID1234567".into())).start().await;
    let (node, watch) = (fleet.nodes[0].clone(), fleet.watch());
    let running = tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    let key = format!("AROAEXAMPLEID1234567:{}", fleet.nodes[0].identity.instance_id);
    until(|| fleet.nodes[0].phase() == Some(Phase::Drain)).await;
    assert!(fleet.leases()[&key].contains("p=held"));
    // The others know whose it is.
    let second = fleet.nodes[1].finish(fleet.nodes[1].run(&["patch"])).await;
    assert_eq!((running.await.unwrap().verdict, second.verdict), (Verdict::Succeeded, Verdict::Succeeded));
    assert_eq!(watch.most_out(), 1);
    fleet.assert_restored();
}

/// The role of the node was replaced: its lease stands under the key of the old one.
async fn with_an_old_key(value: &str) -> (Fleet, String) {
    let fleet = fleet()
        .settings(|s| {
            s.lease_role_id = Some("AROAEXAMPLEID1234567".into());
            s.notify_command = vec!["tell-people".into()];
        })
        .start()
        .await;
    // It comes first in the order of keys.
    let key = format!("node-agent/lease/AROAANOLDROLE1234567:{}", fleet.nodes[0].identity.instance_id);
    fleet.alb.set_tag(&fleet.arn, &key, value);
    (fleet, key)
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_mark_under_the_key_of_an_old_role_goes_with_the_next_success() {
    let (fleet, key) = with_an_old_key("v1 p=failed e=1").await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    assert!(fleet.alb.tags(&fleet.arn).contains_key(&key), "only in service");
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_lease_under_the_key_of_an_old_role_is_released_by_its_owner() {
    let (fleet, _) = with_an_old_key("v1 p=held e=1 k=1").await;
    fleet.nodes[0].has_seen_a_fleet_of(3);
    let mut driver = fleet.nodes[0].lost().await.unwrap().unwrap();
    assert_eq!(finished(driver.drive().await.unwrap()).verdict, Verdict::Succeeded);
    fleet.assert_restored();
    // Nobody waits for it any more.
    assert_eq!(fleet.nodes[1].finish(fleet.nodes[1].reboot()).await.verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_old_key_that_iam_denies_is_told_and_not_tried_again() {
    let log = logged();
    let (fleet, key) = with_an_old_key("v1 p=failed e=1").await;
    let node = &fleet.nodes[0];
    // Its own lease becomes a mark, so only the old key is removed.
    *node.machine.command.lock().unwrap() = (Duration::from_secs(30), 1);
    fleet.alb.script("RemoveTags", Fault::AccessDenied, 1);
    assert_eq!(node.finish(node.run(&["patch"])).await.verdict, Verdict::FailedButRestored);
    assert_eq!(fleet.calls("RemoveTags").len(), 1);
    assert!(fleet.alb.tags(&fleet.arn).contains_key(&key));
    log.says("an old key of this node's lease");
    let told = node.machine.notified.lock().unwrap().clone();
    assert!(told.iter().any(|told| told.contains("\"event\":\"denied\"") && told.contains(&key)), "{told:?}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn with_two_slots_two_are_out_and_never_three() {
    let fleet = fleet().nodes(6).tag("max-unavailable", "2").start().await;
    let watch = fleet.watch();
    let mut tasks = tokio::task::JoinSet::new();
    for node in fleet.nodes.clone() {
        tasks.spawn_local(async move { node.finish(node.reboot()).await.verdict });
    }
    assert_eq!(tasks.join_all().await, [Verdict::Succeeded; 6]);
    assert_eq!(watch.most_out(), 2);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_count_on_record_that_is_at_its_limit_stays_there() {
    let fleet = fleet().settings(|s| s.lease_wait = seconds(600)).start().await;
    for number in 0..50 {
        fleet.alb.set_tag(&fleet.arn, &format!("owner-{number}"), "x");
    }
    let mut driver = fleet.nodes[0].driver(fleet.nodes[0].reboot());
    driver.operation.blocked = u32::MAX;
    let finished = finished(driver.drive().await.unwrap());
    assert!(finished.phases.iter().any(|run| run.outcome == Outcome::Blocked), "{finished:?}");
    assert_eq!((finished.verdict, driver.operation.blocked), (Verdict::NothingChanged, u32::MAX));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn without_the_permission_to_write_tags_it_ends_and_says_so() {
    let fleet = fleet().start().await;
    // Somebody waits, so that the first tag is a place in the queue.
    let key = format!("node-agent/lease/{}", fleet.nodes[1].identity.instance_id);
    fleet.alb.set_tag(&fleet.arn, &key, "v1 p=waiting e=1 t=1 s=0");
    for action in ["AddTags", "RemoveTags"] {
        fleet.alb.script(action, Fault::AccessDenied, 1000);
    }
    let finished = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
    assert_eq!((finished.verdict, finished.exit_code), (Verdict::NothingChanged, 2), "{finished:?}");
    assert!(finished.reason.unwrap().contains("AccessDenied"));
    assert_eq!(fleet.calls("DeregisterTargets").len(), 0);
    assert_eq!(fleet.calls("RemoveTags").len(), 0, "no tag was written, so there is none to remove");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn only_the_lease_of_a_target_by_address_names_its_target() {
    for (builder, by_address) in [(fleet(), false), (fleet().by_address(), true)] {
        let fleet = builder.start().await;
        let node = &fleet.nodes[0];
        let running = node.begun(node.run(&["patch"]), Phase::Drain).await;
        let lease = fleet.lease(0).unwrap();
        let named = by_address.then(|| format!("i={}", node.target_id));
        assert_eq!(lease.split(' ').find(|field| field.starts_with("i=")), named.as_deref(), "{lease}");
        running.await.unwrap();
    }
}
