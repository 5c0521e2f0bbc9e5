//! Somebody else moves our target or removes our tag.

use crate::fleet::{PORT, finished, fleet, logged, until, within};
use local_alb::Fault;
use node_agent::record::phase::{Outcome, Phase};
use node_agent::record::{RebootWhen, Verdict};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test(flavor = "local", start_paused = true)]
async fn registered_again_by_somebody_else_it_drains_again_before_the_reboot() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.reboot(), Phase::Drain).await;
    sleep(Duration::from_secs(20)).await;
    fleet.alb.register(&fleet.arn, &node.target_id, PORT);
    let finished = finished(running.await.unwrap());
    assert_eq!(finished.verdict, Verdict::Succeeded);
    let drains = finished.phases.iter().filter(|run| run.phase == Phase::Drain).map(|run| run.outcome);
    assert_eq!(drains.collect::<Vec<_>>(), [Outcome::Blocked, Outcome::Ok]);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn registered_again_and_again_it_turns_back_unrebooted() {
    let fleet = fleet().start().await;
    let node = fleet.nodes[0].clone();
    let (alb, arn, id) = (fleet.alb.clone(), fleet.arn.clone(), node.target_id.clone());
    let meddler = tokio::task::spawn_local(async move {
        loop {
            sleep(Duration::from_secs(25)).await;
            alb.register(&arn, &id, PORT);
        }
    });
    let finished = node.finish(node.reboot()).await;
    meddler.abort();
    assert_eq!(finished.verdict, Verdict::FailedButRestored);
    assert!(finished.reason.unwrap().contains("although we deregistered it, for the 4th time"));
    assert_eq!(node.machine.reboots.load(Ordering::Relaxed), 0);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn registered_by_somebody_else_during_the_command_it_drains_again_before_the_reboot() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    *node.machine.command.lock().unwrap() = (Duration::from_secs(300), 0);
    let request = node.request(RebootWhen::Always, &["patch"]);
    let running = node.begun(request, Phase::RunCommand).await;
    sleep(Duration::from_secs(120)).await;
    fleet.alb.register(&fleet.arn, &node.target_id, PORT);
    until(|| node.machine.reboots.load(Ordering::Relaxed) == 1).await;
    assert_eq!(fleet.pairs(0), [(PORT, "unused".to_owned())]);
    assert_eq!(fleet.calls("DeregisterTargets").len(), 2);
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    assert_eq!(node.machine.ran.lock().unwrap().len(), 1);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn registered_by_somebody_else_while_too_few_are_left_it_stays_and_gives_up() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::Drain).await;
    sleep(Duration::from_secs(20)).await;
    fleet.alb.deregister(&fleet.arn, &fleet.nodes[2].target_id, PORT);
    fleet.alb.register(&fleet.arn, &node.target_id, PORT);
    let ended = finished(running.await.unwrap());
    assert_eq!((ended.verdict, ended.exit_code), (Verdict::FailedButRestored, 1), "{ended:?}");
    assert_eq!(fleet.calls("DeregisterTargets").len(), 1);
    assert!(node.machine.ran.lock().unwrap().is_empty());
    assert_eq!((fleet.pairs(0), fleet.lease(0)), (vec![(PORT, "healthy".to_owned())], None));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_lease_wiped_while_out_is_written_again() {
    let log = logged();
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    *node.machine.command.lock().unwrap() = (Duration::from_secs(300), 0);
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    let key = format!("node-agent/lease/{}", node.identity.instance_id);
    fleet.alb.remove_tag(&fleet.arn, &key);
    within(Duration::from_secs(31), || fleet.lease(0).is_some()).await;
    assert!(fleet.alb.tags(&fleet.arn)[&key].contains("p=held"));
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    fleet.assert_restored();
    log.says("was removed while this node is out: writing it again");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_lease_wiped_while_a_deregistration_may_still_land_is_written_again() {
    let fleet = fleet().start().await;
    fleet.alb.script("DeregisterTargets", Fault::LostAnswer, 1);
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::ReleaseLease).await;
    let key = format!("node-agent/lease/{}", node.identity.instance_id);
    sleep(Duration::from_secs(45)).await;
    fleet.alb.remove_tag(&fleet.arn, &key);
    sleep(Duration::from_secs(45)).await;
    assert!(fleet.alb.tags(&fleet.arn)[&key].contains("p=held"));
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_lease_turned_into_a_tag_without_a_slot_while_out_is_written_again() {
    for turned in ["v1 p=waiting e=other t=3 s=1", "v1 p=failed e=other"] {
        let fleet = fleet().start().await;
        let node = &fleet.nodes[0];
        *node.machine.command.lock().unwrap() = (Duration::from_secs(300), 0);
        let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
        let before = fleet.lease(0).unwrap();
        fleet.alb.set_tag(&fleet.arn, &fleet.lease_key(0), turned);
        within(Duration::from_secs(31), || fleet.lease(0).as_deref() != Some(turned)).await;
        let after = fleet.lease(0).unwrap();
        assert!(after.contains("p=held") && after != before, "a nonce that is not confirmed: {after}");
        assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
        fleet.assert_restored();
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_lease_that_still_takes_a_slot_or_is_broken_is_left_as_it_is() {
    for value in ["v1 p=held e=other k=1", "v1 p=halted e=other k=1", "v7 something", "v1 p=broken e=other"] {
        let fleet = fleet().start().await;
        let node = &fleet.nodes[0];
        *node.machine.command.lock().unwrap() = (Duration::from_secs(300), 0);
        let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
        fleet.alb.set_tag(&fleet.arn, &fleet.lease_key(0), value);
        sleep(Duration::from_secs(90)).await;
        assert_eq!(fleet.lease(0).as_deref(), Some(value));
        assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_deleted_target_group_does_not_end_the_care_for_the_lease_of_the_other() {
    let log = logged();
    let fleet = fleet().two_groups().start().await;
    let node = &fleet.nodes[0];
    *node.machine.command.lock().unwrap() = (Duration::from_secs(300), 0);
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    fleet.alb.delete_target_group(&fleet.arns[1]);
    fleet.alb.remove_tag(&fleet.arn, &fleet.lease_key(0));
    sleep(Duration::from_secs(60)).await;
    assert!(fleet.lease(0).is_some_and(|tag| tag.contains("p=held")));
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    fleet.assert_restored();
    log.says("no longer exists");
}
