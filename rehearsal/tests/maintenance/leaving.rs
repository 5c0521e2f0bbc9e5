//! The last looks before a node leaves, and the look right after it has left.

use crate::fleet::{Fleet, PORT, finished, fleet, seconds, until, within};
use local_alb::{Fault, Faults};
use node_agent::maintenance::context::End;
use node_agent::record::Verdict;
use node_agent::record::mailbox::Requests;
use node_agent::record::phase::Phase;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Every call takes a second, so that there is time between the reads of the first node and its leaving.
async fn about_to_leave(fleet: &Fleet) -> JoinHandle<End> {
    fleet.alb.change_faults(|faults| faults.latency = Duration::from_secs(1));
    let running = fleet.nodes[0].begun(fleet.nodes[0].run(&["patch"]), Phase::Validate).await;
    assert!(fleet.calls("DeregisterTargets").is_empty());
    running
}

/// It has sent its DeregisterTargets, and nothing has settled yet.
async fn just_left(fleet: &Fleet) -> JoinHandle<End> {
    let node = fleet.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.maintain(node.run(&["patch"])).await });
    until(|| !fleet.calls("DeregisterTargets").is_empty()).await;
    running
}

/// The maintenance ends without a call that would have taken the node out.
async fn stays_in_service(fleet: &Fleet, running: JoinHandle<End>, exit_code: u8) {
    let ended = finished(running.await.unwrap());
    assert_eq!((ended.verdict, ended.exit_code), (Verdict::NothingChanged, exit_code), "{ended:?}");
    assert!(fleet.calls("DeregisterTargets").is_empty());
    assert_eq!(fleet.alb.instances_out(&fleet.arn), 0);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_lease_that_is_wiped_right_before_leaving_is_claimed_again_first() {
    let fleet = fleet().start().await;
    let running = about_to_leave(&fleet).await;
    fleet.alb.remove_tag(&fleet.arn, &fleet.lease_key(0));
    until(|| !fleet.calls("DeregisterTargets").is_empty()).await;
    assert!(fleet.lease(0).is_some_and(|lease| lease.contains("p=held")), "{:?}", fleet.leases());
    assert_eq!(fleet.calls("AddTags").len(), 2);
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_lease_that_an_operator_breaks_right_before_leaving_keeps_the_node_in_service() {
    let fleet = fleet().start().await;
    let running = about_to_leave(&fleet).await;
    let broken = fleet.lease(0).unwrap().replace("p=held", "p=broken");
    fleet.alb.set_tag(&fleet.arn, &fleet.lease_key(0), &broken);
    stays_in_service(&fleet, running, 75).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_pause_right_before_leaving_keeps_the_node_in_service() {
    let fleet = fleet().start().await;
    let running = about_to_leave(&fleet).await;
    fleet.alb.set_tag(&fleet.arn, "node-agent/paused", "release day");
    stays_in_service(&fleet, running, 75).await;
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_client_that_ends_right_before_leaving_keeps_the_node_in_service() {
    let fleet = fleet().start().await;
    fleet.alb.change_faults(|faults| faults.latency = Duration::from_secs(1));
    let node = &fleet.nodes[0];
    let waits = Requests::beside(&node.settings.state_dir).wait().unwrap();
    let mut driver = node.unit(node.run(&["patch"]));
    let running = tokio::task::spawn_local(async move { driver.drive_and_stay().await.unwrap() });
    until(|| node.phase() == Some(Phase::Validate)).await;
    drop(waits);
    stays_in_service(&fleet, running, 75).await;
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_in_maintenance_and_an_unhealthy_one_leave_no_room_for_a_third() {
    let fleet =
        fleet().nodes(4).tag("max-unavailable", "2").settings(|s| s.lease_wait = seconds(600)).start().await;
    let (first, second) = (&fleet.nodes[0], &fleet.nodes[1]);
    *second.machine.command.lock().unwrap() = (Duration::from_secs(1800), 0);
    let _held = second.begun(second.run(&["patch"]), Phase::RunCommand).await;
    fleet.nodes[2].service.set(Some(500));
    until(|| fleet.alb.instances_out(&fleet.arn) == 2).await;
    let watch = fleet.watch();
    let refused = first.finish(first.run(&["patch"])).await;
    assert_eq!((refused.verdict, refused.exit_code), (Verdict::NothingChanged, 75), "{refused:?}");
    assert_eq!(watch.most_out(), 2);
    assert_eq!(fleet.lease(0), None);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_port_that_is_registered_while_the_claim_settles_leaves_with_the_others() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::AcquireLease).await;
    until(|| fleet.lease(0).is_some()).await;
    fleet.alb.register(&fleet.arn, &node.target_id, 9090);
    until(|| node.phase() == Some(Phase::RunCommand)).await;
    assert_eq!(fleet.pairs(0), [(PORT, "unused".to_owned()), (9090, "unused".to_owned())]);
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    assert_eq!(fleet.pairs(0), [(PORT, "healthy".to_owned()), (9090, "healthy".to_owned())]);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_delay_that_was_raised_while_the_node_waited_is_the_one_that_it_drains_for() {
    let fleet = fleet().start().await;
    fleet.alb.set_tag(&fleet.arn, "node-agent/lease/i-other", "v1 p=held e=1 k=1");
    let running = fleet.nodes[0].begun(fleet.nodes[0].run(&["patch"]), Phase::AcquireLease).await;
    let longer = aws_sdk_elasticloadbalancingv2::types::TargetGroupAttribute::builder()
        .key("deregistration_delay.timeout_seconds")
        .value("600");
    let change = fleet.nodes[0].client().modify_target_group_attributes().target_group_arn(&fleet.arn);
    change.attributes(longer.build()).send().await.unwrap();
    fleet.alb.remove_tag(&fleet.arn, "node-agent/lease/i-other");
    until(|| !fleet.calls("DeregisterTargets").is_empty()).await;
    let left_for =
        within(Duration::from_secs(900), || !fleet.nodes[0].machine.ran.lock().unwrap().is_empty());
    let left_for = left_for.await.as_secs();
    assert!((600..605).contains(&left_for), "{left_for}");
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_outage_right_before_leaving_costs_time_and_nothing_else() {
    let fleet = fleet().start().await;
    let running = about_to_leave(&fleet).await;
    fleet.alb.set_faults(Faults { refuse: true, ..Faults::default() });
    sleep(Duration::from_secs(600)).await;
    fleet.alb.set_faults(Faults::default());
    let ended = finished(running.await.unwrap());
    assert_eq!((ended.verdict, ended.exit_code), (Verdict::Succeeded, 0), "{ended:?}");
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn reads_that_are_too_old_are_made_again_before_leaving() {
    let fleet = fleet().two_groups().start().await;
    let mut arns = fleet.arns.clone();
    arns.sort();
    let before = fleet.calls("DescribeTargetHealth").len();
    let running = about_to_leave(&fleet).await;
    // The first group has been read. For a while the second cannot be, and meanwhile the first is paused.
    let read = || fleet.calls("DescribeTargetHealth").len();
    let in_this_phase = read();
    assert!(in_this_phase > before);
    until(|| read() > in_this_phase).await;
    fleet.alb.script("DescribeTargetHealth", Fault::Refused, 8);
    fleet.alb.set_tag(&arns[0], "node-agent/paused", "release day");
    stays_in_service(&fleet, running, 75).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_that_has_just_left_too_few_behind_comes_straight_back() {
    let fleet = fleet().start().await;
    let running = just_left(&fleet).await;
    fleet.alb.deregister(&fleet.arn, &fleet.nodes[2].target_id, PORT);
    let ended = finished(running.await.unwrap());
    assert_eq!((ended.verdict, ended.exit_code), (Verdict::FailedButRestored, 1), "{ended:?}");
    assert!(fleet.nodes[0].machine.ran.lock().unwrap().is_empty());
    let (left, back) = (fleet.calls("DeregisterTargets")[0].at, fleet.calls("RegisterTargets")[0].at);
    // Once everything has settled, and without waiting for the drain.
    assert!((10..12).contains(&(back - left).as_secs()), "{:?}", back - left);
    assert_eq!(fleet.pairs(0), [(PORT, "healthy".to_owned())]);
    assert_eq!(fleet.lease(0), None);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_deregistration_that_is_not_permitted_ends_the_maintenance_in_service() {
    let fleet = fleet().start().await;
    fleet.alb.script("DeregisterTargets", Fault::AccessDenied, 1000);
    let began = Instant::now();
    let ended = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
    assert_eq!((ended.verdict, ended.exit_code), (Verdict::NothingChanged, 2), "{ended:?}");
    assert!(ended.reason.as_ref().unwrap().contains("AccessDenied"), "{ended:?}");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert_eq!(fleet.calls("DeregisterTargets").len(), 1);
    assert!(fleet.nodes[0].machine.ran.lock().unwrap().is_empty());
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_floor_counts_from_the_last_group_that_was_left() {
    // Without a deregistration delay the floor is all that is waited for.
    let fleet = fleet().two_groups().attribute("deregistration_delay.timeout_seconds", "0").start().await;
    let node = &fleet.nodes[0];
    let running = about_to_leave(&fleet).await;
    // The calls to leave take their time, so that the second group is left later.
    fleet.alb.change_faults(|faults| faults.latency = Duration::from_secs(4));
    until(|| fleet.calls("DeregisterTargets").len() == 2).await;
    fleet.alb.set_faults(Faults::default());
    let left_for = within(Duration::from_secs(90), || !node.machine.ran.lock().unwrap().is_empty()).await;
    assert!((29..32).contains(&left_for.as_secs()), "{left_for:?}");
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
}
