//! The record is gone and the lease is not: the node comes back, and gives the lease back when nothing can take it out
//! any more.

use crate::fleet::{Fleet, Node, finished, fleet, logged, until};
use local_alb::{Fault, Faults, TargetHealth};
use node_agent::agent::lost_record::LostRecordError;
use node_agent::record::phase::Phase;
use node_agent::record::{Finished, Verdict};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const Q: Duration = Duration::from_secs(900);

/// A node whose agent died in this phase, and whose record is gone.
async fn without_its_record(phase: Phase) -> (Fleet, Node) {
    let fleet = fleet().nodes(2).start().await;
    let node = fleet.nodes[0].clone();
    let doomed = node.clone();
    let running = tokio::task::spawn_local(async move { doomed.finish(doomed.run(&["patch"])).await });
    until(|| node.phase() == Some(phase)).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    std::fs::remove_file(node.settings.state_dir.join("record.json")).unwrap();
    (fleet, node)
}

async fn comes_back(node: &Node) -> Finished {
    let mut driver = node.lost().await.unwrap().expect("a lease");
    finished(driver.drive().await.unwrap())
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn out_without_a_record_it_comes_back_and_keeps_the_lease_until_nothing_can_land() {
    let (fleet, node) = without_its_record(Phase::Drain).await;
    let booted = *node.machine.booted.lock().unwrap();
    let back = comes_back(&node).await;
    assert_eq!((back.verdict, back.exit_code), (Verdict::FailedButRestored, 1));
    assert!(back.reason.unwrap().contains("the record of a maintenance is missing"));
    assert!(booted.elapsed() >= Q, "{:?}", booted.elapsed());
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_deregistration_that_lands_after_the_record_was_lost_is_undone_before_the_lease_goes() {
    let fleet = fleet().nodes(2).start().await;
    let node = fleet.nodes[0].clone();
    fleet.alb.script("DeregisterTargets", Fault::LandsLate(Duration::from_secs(600)), 1);
    let doomed = node.clone();
    let running = tokio::task::spawn_local(async move { doomed.finish(doomed.run(&["patch"])).await });
    until(|| fleet.alb.calls().iter().any(|call| call.action == "DeregisterTargets")).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    std::fs::remove_file(node.settings.state_dir.join("record.json")).unwrap();
    let key = format!("node-agent/lease/{}", node.identity.instance_id);
    let (alb, arn, id) = (fleet.alb.clone(), fleet.arn.clone(), node.target_id.clone());
    let watch = tokio::task::spawn_local(async move {
        loop {
            let own = alb.targets(&arn).into_iter().find(|target| target.id == id);
            let out = own.is_none_or(|target| target.state != TargetHealth::Healthy);
            assert!(!out || alb.tags(&arn).contains_key(&key), "out without a lease");
            sleep(Duration::from_millis(500)).await;
        }
    });
    assert_eq!(comes_back(&node).await.verdict, Verdict::FailedButRestored);
    sleep(Duration::from_secs(60)).await;
    assert!(!watch.is_finished());
    watch.abort();
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn its_ports_gone_it_says_so_and_comes_back_once_a_person_has_registered_it() {
    let (fleet, node) = without_its_record(Phase::RunCommand).await;
    sleep(Duration::from_secs(120)).await;
    let Err(error @ LostRecordError::PortsUnknown(_)) = node.lost().await else { panic!("guessed") };
    assert!(error.to_string().contains("aws elbv2 register-targets"), "{error}");
    assert_eq!(fleet.leases().len(), 1, "the lease is kept");
    fleet.alb.register(&fleet.arn, &node.target_id, crate::fleet::PORT);
    assert_eq!(comes_back(&node).await.verdict, Verdict::FailedButRestored);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_lease_that_the_record_knows_nothing_of_is_removed_after_a_second_look() {
    let fleet = fleet().nodes(2).start().await;
    let node = &fleet.nodes[0];
    node.has_seen_a_fleet_of(2);
    let key = format!("node-agent/lease/{}", node.identity.instance_id);
    fleet.alb.set_tag(&fleet.arn, &key, "v1 p=held e=77 k=1 op=earlier");
    let began = Instant::now();
    assert_eq!(comes_back(node).await.verdict, Verdict::Succeeded);
    assert!((10..12).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_mark_of_failure_stays_and_a_stranger_has_nothing_to_come_back_from() {
    let fleet = fleet().nodes(2).start().await;
    let key = format!("node-agent/lease/{}", fleet.nodes[0].identity.instance_id);
    fleet.alb.set_tag(&fleet.arn, &key, "v1 p=failed e=77");
    assert!(fleet.nodes[0].lost().await.unwrap().is_none());
    assert!(fleet.nodes[1].lost().await.unwrap().is_none());
    assert_eq!(fleet.leases().len(), 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_stale_read_of_a_lease_that_is_gone_is_not_believed() {
    let faults = Faults { stale_tags: Duration::from_secs(5), ..Faults::default() };
    let fleet = fleet().nodes(2).faults(faults).start().await;
    let node = &fleet.nodes[0];
    node.has_seen_a_fleet_of(2);
    let key = format!("node-agent/lease/{}", node.identity.instance_id);
    for number in 0..50 {
        // Each read is as stale as chance has it.
        fleet.alb.set_tag(&fleet.arn, &key, &format!("v1 p=held e={number} k=1 op=earlier"));
        sleep(Duration::from_secs(10)).await;
        fleet.alb.set_tag(&fleet.arn, &key, &format!("v1 p=failed e={number}"));
        assert!(node.lost().await.unwrap().is_none(), "{number}");
    }
    assert!(fleet.leases()[&node.identity.instance_id].contains("p=failed"));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_lease_write_that_a_lost_record_knew_of_cannot_land_on_the_next_claim() {
    let log = logged();
    // Its agent dies as it writes its claim, and the record goes with it: no tag is to be seen yet.
    let fleet = fleet().nodes(2).start().await;
    let node = fleet.nodes[0].clone();
    fleet.alb.script("AddTags", Fault::LandsLate(Duration::from_secs(600)), 1);
    let doomed = node.clone();
    let running = tokio::task::spawn_local(async move { doomed.finish(doomed.run(&["patch"])).await });
    until(|| fleet.alb.calls().iter().any(|call| call.action == "AddTags")).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    std::fs::remove_file(node.settings.state_dir.join("record.json")).unwrap();
    assert!(node.lost().await.unwrap().is_none(), "no lease shows");
    let booted = *node.machine.booted.lock().unwrap();
    let next = node.clone();
    let running = tokio::task::spawn_local(async move { next.finish(next.run(&["patch"])).await });
    until(|| fleet.alb.calls().iter().filter(|call| call.action == "AddTags").count() > 1).await;
    assert!(booted.elapsed() >= Q, "{:?}", booted.elapsed());
    assert_eq!(running.await.unwrap().verdict, Verdict::Succeeded);
    fleet.assert_restored();
    log.says("the record of this node is missing");
    log.says("until earlier unanswered calls can no longer take effect");
}
