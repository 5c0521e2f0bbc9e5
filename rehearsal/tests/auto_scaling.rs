//! `--asg standby`: the Auto Scaling group moves the instance out and back, on a paused clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod fleet;

use fleet::{Builder, Fleet, Node, finished, fleet, until, within};
use local_alb::{AutoScalingGroup, Fault};
use node_agent::machine::systemd::GoingDown;
use node_agent::record::phase::Phase;
use node_agent::record::{Finished, Verdict};
use node_agent::settings::AutoScaling;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const GROUP: &str = "fleet";

fn standby() -> Builder {
    fleet().settings(|settings| settings.asg = AutoScaling::Standby)
}

/// Three nodes in a group that must not have fewer than two.
async fn scaled(builder: Builder) -> Fleet {
    let mut fleet = builder.start().await;
    let state = |node: &Node| (node.identity.instance_id.clone(), "InService".to_owned());
    let group = AutoScalingGroup {
        min: 2,
        desired: 3,
        target_groups: fleet.arns.clone(),
        instances: fleet.nodes.iter().map(state).collect(),
        ..AutoScalingGroup::default()
    };
    fleet.alb.set_auto_scaling_group(GROUP, group);
    fleet.nodes.iter_mut().for_each(|node| node.identity.auto_scaling = Some("InService".into()));
    fleet
}

fn change(fleet: &Fleet, change: impl FnOnce(&mut AutoScalingGroup)) {
    let mut group = fleet.alb.auto_scaling_group(GROUP).unwrap();
    change(&mut group);
    fleet.alb.set_auto_scaling_group(GROUP, group);
}

fn calls(fleet: &Fleet, action: &str) -> usize {
    fleet.alb.calls().iter().filter(|call| call.action == action).count()
}

/// The first node's state in the group.
fn state(fleet: &Fleet) -> String {
    fleet.alb.auto_scaling_group(GROUP).unwrap().instances[&fleet.nodes[0].identity.instance_id].clone()
}

/// As it was, and only the group ever moved a target.
fn as_before(fleet: &Fleet) {
    let group = fleet.alb.auto_scaling_group(GROUP).unwrap();
    assert_eq!((group.min, group.desired), (2, 3));
    assert!(group.instances.values().all(|state| state == "InService"), "{group:?}");
    assert_eq!(fleet.alb.instances_out(&fleet.arn), 0);
    assert_eq!((calls(fleet, "DeregisterTargets"), calls(fleet, "RegisterTargets")), (0, 0));
}

/// Nothing was asked for that changes anything.
fn untouched(fleet: &Fleet, finished: &Finished, code: u8, part: &str) {
    assert_eq!((finished.verdict, finished.exit_code), (Verdict::NothingChanged, code), "{finished:?}");
    assert!(finished.reason.as_ref().unwrap().contains(part), "{finished:?}");
    assert_eq!((calls(fleet, "EnterStandby"), calls(fleet, "AddTags")), (0, 0));
    assert_eq!(fleet.alb.instances_out(&fleet.arn), 0);
}

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
    let nodes = &fleet.nodes;
    let (a, b, c) = tokio::join!(
        nodes[0].finish(nodes[0].reboot()),
        nodes[1].finish(nodes[1].reboot()),
        nodes[2].finish(nodes[2].reboot()),
    );
    for finished in [a, b, c] {
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

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_minimum_forbids_and_nothing_changes() {
    let fleet = scaled(standby()).await;
    change(&fleet, |group| group.min = 3);
    let finished = fleet.nodes[0].finish(fleet.nodes[0].reboot()).await;
    untouched(&fleet, &finished, 2, "raise the desired capacity by one or lower the minimum by one");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_suspended_launch_forbids_and_nothing_changes() {
    let fleet = scaled(standby()).await;
    change(&fleet, |group| group.suspended = ["Launch".to_owned()].into());
    let finished = fleet.nodes[0].finish(fleet.nodes[0].reboot()).await;
    untouched(&fleet, &finished, 2, "the process Launch of the Auto Scaling group fleet is suspended");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_target_group_that_is_not_attached_forbids_and_nothing_changes() {
    let fleet = scaled(standby()).await;
    change(&fleet, |group| group.target_groups.clear());
    let finished = fleet.nodes[0].finish(fleet.nodes[0].reboot()).await;
    untouched(&fleet, &finished, 2, "attach the target group, or choose --asg ignore");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_in_standby_by_another_hand_stays_there() {
    let fleet = scaled(standby()).await;
    let id = fleet.nodes[0].identity.instance_id.clone();
    change(&fleet, |group| drop(group.instances.insert(id, "Standby".into())));
    let finished = fleet.nodes[0].finish(fleet.nodes[0].reboot()).await;
    untouched(&fleet, &finished, 2, "reports this instance as Standby");
}

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
async fn launch_suspended_while_out_is_waited_for() {
    let fleet = scaled(standby()).await;
    let node = fleet.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    until(|| state(&fleet) == "Standby").await;
    change(&fleet, |group| group.suspended = ["Launch".to_owned()].into());
    until(|| fleet.nodes[0].phase() == Some(Phase::Register)).await;
    sleep(Duration::from_secs(120)).await;
    assert_eq!(state(&fleet), "Standby");
    change(&fleet, |group| group.suspended.clear());
    assert_eq!(running.await.unwrap().verdict, Verdict::Succeeded);
    as_before(&fleet);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_machine_that_is_switched_off_leaves_by_itself() {
    let fleet = scaled(standby()).await;
    fleet.nodes[0].leave_before(GoingDown::PowerOff).await;
    assert_eq!((calls(&fleet, "EnterStandby"), calls(&fleet, "DeregisterTargets")), (0, 1));
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
async fn a_group_that_cannot_spare_it_any_more_when_its_turn_comes_is_waited_for() {
    let fleet = scaled(standby()).await;
    fleet.alb.set_tag(&fleet.arn, "node-agent/lease/i-other", "v1 p=held e=1 k=1");
    let running = fleet.nodes[0].begun(fleet.nodes[0].run(&["patch"]), Phase::AcquireLease).await;
    // Meanwhile somebody moves another instance to standby.
    let another = fleet.nodes[2].identity.instance_id.clone();
    change(&fleet, |group| {
        group.desired = 2;
        group.instances.insert(another.clone(), "Standby".into());
    });
    fleet.alb.remove_tag(&fleet.arn, "node-agent/lease/i-other");
    sleep(Duration::from_secs(300)).await;
    assert_eq!((calls(&fleet, "EnterStandby"), fleet.leases().len()), (0, 0));
    assert_eq!(fleet.nodes[0].phase(), Some(Phase::CheckGroup));
    change(&fleet, |group| {
        group.desired = 3;
        group.instances.insert(another, "InService".into());
    });
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    as_before(&fleet);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_enter_standby_that_is_not_permitted_changes_nothing() {
    let fleet = scaled(standby()).await;
    fleet.alb.script("EnterStandby", Fault::AccessDenied, 1000);
    let began = Instant::now();
    let refused = fleet.nodes[0].finish(fleet.nodes[0].reboot()).await;
    assert_eq!((refused.verdict, refused.exit_code), (Verdict::NothingChanged, 2), "{refused:?}");
    assert!(refused.reason.unwrap().contains("AccessDenied"));
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
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

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_floor_counts_from_when_the_group_has_deregistered_the_node() {
    // Without a deregistration delay the floor is all that is waited for.
    let fleet = scaled(standby().attribute("deregistration_delay.timeout_seconds", "0")).await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::AcquireLease).await;
    until(|| calls(&fleet, "EnterStandby") == 1).await;
    // A group that takes half a minute until it deregisters the node.
    until(|| fleet.pairs(0)[0].1 == "unused").await;
    fleet.alb.register(&fleet.arn, &node.target_id, fleet::PORT);
    sleep(Duration::from_secs(25)).await;
    fleet.alb.deregister(&fleet.arn, &node.target_id, fleet::PORT);
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
    fleet.alb.deregister(&fleet.arn, &node.target_id, fleet::PORT);
    within(Duration::from_secs(120), || running.is_finished()).await;
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    assert_eq!(calls(&fleet, "RegisterTargets"), 1);
    fleet.assert_restored();
}
