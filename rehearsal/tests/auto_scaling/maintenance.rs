//! A maintenance in standby from beginning to end, and the ways out that need no standby.

use crate::fleet::{finished, until, within};
use crate::group::{as_before, calls, change, scaled, standby, state};
use local_alb::Fault;
use node_agent::machine::systemd::GoingDown;
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_reboots_in_standby() {
    let fleet = scaled(standby()).await;
    let watch = fleet.watch();
    let finished = fleet.nodes[0].finish(fleet.nodes[0].reboot()).await;
    assert_eq!((finished.verdict, finished.exit_code), (Verdict::Succeeded, 0), "{finished:?}");
    assert_eq!((calls(&fleet, "EnterStandby"), calls(&fleet, "ExitStandby")), (1, 1));
    assert_eq!(watch.most_out(), 1);
    as_before(&fleet);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn three_nodes_take_turns_although_the_minimum_allows_one() {
    let fleet = scaled(standby()).await;
    let watch = fleet.watch();
    for finished in fleet.reboot_three_at_once().await {
        assert_eq!(finished.verdict, Verdict::Succeeded, "{finished:?}");
    }
    assert_eq!(watch.most_out(), 1);
    as_before(&fleet);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_command_runs_only_when_the_group_has_taken_the_node_out_and_it_has_drained() {
    let fleet = scaled(standby()).await;
    let node = fleet.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    until(|| state(&fleet) == "EnteringStandby").await;
    let ran = || !fleet.nodes[0].machine.ran.lock().unwrap().is_empty();
    // The group lets a moment pass before it deregisters, then the whole delay of 60 s.
    sleep(Duration::from_secs(60)).await;
    assert!(!ran());
    until(ran).await;
    assert_eq!(fleet.pairs(0)[0].1, "unused");
    assert_eq!(running.await.unwrap().verdict, Verdict::Succeeded);
    as_before(&fleet);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_failed_command_is_undone() {
    let fleet = scaled(standby()).await;
    *fleet.nodes[0].machine.command.lock().unwrap() = (Duration::from_secs(5), 3);
    let failed = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
    assert_eq!((failed.verdict, failed.exit_code), (Verdict::FailedButRestored, 1), "{failed:?}");
    as_before(&fleet);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_floor_counts_from_when_the_group_has_deregistered_the_node() {
    // Without a deregistration delay the floor is all that is waited for.
    let fleet = scaled(standby().attribute("deregistration_delay.timeout_seconds", "0")).await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::AcquireLease).await;
    until(|| calls(&fleet, "EnterStandby") == 1).await;
    // A group that takes half a minute until it deregisters the node.
    until(|| fleet.pairs(0)[0].1 == "unused").await;
    fleet.alb.register(&fleet.arn, &node.target_id, crate::fleet::PORT);
    sleep(Duration::from_secs(25)).await;
    fleet.alb.deregister(&fleet.arn, &node.target_id, crate::fleet::PORT);
    let out = within(Duration::from_secs(120), || !node.machine.ran.lock().unwrap().is_empty()).await;
    assert!((30..33).contains(&out.as_secs()), "{out:?}");
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    as_before(&fleet);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn what_the_group_does_not_register_the_node_registers_itself() {
    let fleet = scaled(standby()).await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::WaitInService).await;
    // The group has done its part. Somebody deregisters the node, which no group makes good.
    until(|| state(&fleet) == "InService").await;
    fleet.alb.deregister(&fleet.arn, &node.target_id, crate::fleet::PORT);
    within(Duration::from_secs(120), || running.is_finished()).await;
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    assert_eq!(calls(&fleet, "RegisterTargets"), 1);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_group_that_registers_nobody_any_more_has_a_minute_before_the_node_registers_itself() {
    let fleet = scaled(standby()).await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    // Its target group is detached while the node is out.
    change(&fleet, |group| group.target_groups.clear());
    until(|| state(&fleet) == "InService").await;
    let back = Instant::now();
    until(|| calls(&fleet, "RegisterTargets") == 1).await;
    let waited = back.elapsed().as_secs();
    assert!((60..75).contains(&waited), "{waited} s");
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_that_left_by_itself_comes_back_without_permission_to_ask_for_its_group() {
    let fleet = scaled(standby()).await;
    let node = &fleet.nodes[0];
    node.leave_before(GoingDown::PowerOff).await;
    fleet.alb.script("DescribeAutoScalingInstances", Fault::AccessDenied, 1000);
    node.boot().await;
    assert_eq!(finished(node.resume().await).verdict, Verdict::Succeeded);
    assert_eq!((calls(&fleet, "ExitStandby"), calls(&fleet, "RegisterTargets")), (0, 1));
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn outside_of_a_group_it_leaves_by_itself() {
    let fleet = standby().start().await;
    let finished = fleet.nodes[0].finish(fleet.nodes[0].reboot()).await;
    assert_eq!(finished.verdict, Verdict::Succeeded, "{finished:?}");
    assert_eq!((calls(&fleet, "DeregisterTargets"), calls(&fleet, "EnterStandby")), (1, 0));
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_machine_that_is_switched_off_leaves_by_itself() {
    let fleet = scaled(standby()).await;
    fleet.nodes[0].leave_before(GoingDown::PowerOff).await;
    assert_eq!((calls(&fleet, "EnterStandby"), calls(&fleet, "DeregisterTargets")), (0, 1));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_in_standby_that_somebody_registers_is_deregistered_directly_and_comes_back() {
    let fleet = scaled(standby()).await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.reboot(), Phase::Drain).await;
    // The Auto Scaling group does not undo that.
    fleet.alb.register(&fleet.arn, &node.target_id, crate::fleet::PORT);
    let done = finished(running.await.unwrap());
    assert_eq!(done.verdict, Verdict::Succeeded, "{done:?}");
    assert_eq!(
        ["EnterStandby", "ExitStandby", "DeregisterTargets"].map(|call| calls(&fleet, call)),
        [1, 1, 1]
    );
    assert_eq!(state(&fleet), "InService");
    fleet.assert_restored();
}
