//! The group does not allow it: before the node leaves, at its turn, and on the way back.

use crate::fleet::{finished, until};
use crate::group::{as_before, calls, change, scaled, standby, state, untouched};
use local_alb::Fault;
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;
use std::time::Duration;
use tokio::time::{Instant, sleep};

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
async fn a_port_on_which_the_group_would_not_register_it_again_forbids_and_nothing_changes() {
    // The target group's own port is another one, and an Auto Scaling group registers on that alone.
    let fleet = scaled(standby().ports(&[9090])).await;
    let finished = fleet.nodes[0].finish(fleet.nodes[0].reboot()).await;
    untouched(&fleet, &finished, 2, "on the port of the target group alone");
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
