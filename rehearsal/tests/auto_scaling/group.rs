//! An Auto Scaling group around the fleet: how a test sets it up, and what it checks of it.

use crate::fleet::{Builder, Fleet, Node, fleet};
use local_alb::AutoScalingGroup;
use node_agent::record::{Finished, Verdict};
use node_agent::settings::AutoScaling;

pub(crate) const GROUP: &str = "fleet";

pub(crate) fn standby() -> Builder {
    fleet().settings(|settings| settings.asg = AutoScaling::Standby)
}

/// Three nodes in a group that must not have fewer than two.
pub(crate) async fn scaled(builder: Builder) -> Fleet {
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

pub(crate) fn change(fleet: &Fleet, change: impl FnOnce(&mut AutoScalingGroup)) {
    let mut group = fleet.alb.auto_scaling_group(GROUP).unwrap();
    change(&mut group);
    fleet.alb.set_auto_scaling_group(GROUP, group);
}

pub(crate) fn calls(fleet: &Fleet, action: &str) -> usize {
    fleet.alb.calls().iter().filter(|call| call.action == action).count()
}

/// The first node's state in the group.
pub(crate) fn state(fleet: &Fleet) -> String {
    fleet.alb.auto_scaling_group(GROUP).unwrap().instances[&fleet.nodes[0].identity.instance_id].clone()
}

/// As it was, and only the group ever moved a target.
pub(crate) fn as_before(fleet: &Fleet) {
    let group = fleet.alb.auto_scaling_group(GROUP).unwrap();
    assert_eq!((group.min, group.desired), (2, 3));
    assert!(group.instances.values().all(|state| state == "InService"), "{group:?}");
    assert_eq!(fleet.alb.instances_out(&fleet.arn), 0);
    assert_eq!((calls(fleet, "DeregisterTargets"), calls(fleet, "RegisterTargets")), (0, 0));
}

/// Nothing was asked for that changes anything.
pub(crate) fn untouched(fleet: &Fleet, finished: &Finished, code: u8, part: &str) {
    assert_eq!((finished.verdict, finished.exit_code), (Verdict::NothingChanged, code), "{finished:?}");
    assert!(finished.reason.as_ref().unwrap().contains(part), "{finished:?}");
    assert_eq!((calls(fleet, "EnterStandby"), calls(fleet, "AddTags")), (0, 0));
    assert_eq!(fleet.alb.instances_out(&fleet.arn), 0);
}
