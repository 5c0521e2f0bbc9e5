//! DescribeAutoScalingInstances, DescribeAutoScalingGroups, EnterStandby, ExitStandby.

use super::answer::{Answer, ApiError, text, within};
use super::query::Query;
use super::service::AUTO_SCALING;
use super::targets::missing;
use crate::load_balancer::LocalAlb;
use crate::model::scaling_group::AutoScalingGroup;

pub(super) fn act(alb: &LocalAlb, action: &str, query: &Query) -> Answer {
    match action {
        "DescribeAutoScalingInstances" => Ok(describe_instances(alb, query)),
        "DescribeAutoScalingGroups" => Ok(describe_groups(alb, query)),
        "EnterStandby" | "ExitStandby" => {
            let group = query.get("AutoScalingGroupName").ok_or_else(|| missing("autoScalingGroupName"))?;
            for id in query.list("InstanceIds") {
                let done = if action == "ExitStandby" {
                    alb.exit_standby(group, id)
                } else {
                    let decrement = query
                        .get("ShouldDecrementDesiredCapacity")
                        .ok_or_else(|| missing("shouldDecrementDesiredCapacity"))?;
                    alb.enter_standby(group, id, decrement == "true")
                };
                done.map_err(ApiError::validation)?;
            }
            Ok("<Activities/>".to_owned())
        }
        unknown => {
            let version = AUTO_SCALING.version;
            let message = format!("Could not find operation {unknown} for version {version}");
            Err(ApiError::sender("InvalidAction", message))
        }
    }
}

fn describe_instances(alb: &LocalAlb, query: &Query) -> String {
    let asked = query.list("InstanceIds");
    let mut out = String::new();
    within(&mut out, "AutoScalingInstances", |out| {
        for (name, group) in &*alb.scaling_groups() {
            for (id, state) in &group.shown.instances {
                if asked.is_empty() || asked.contains(&id.as_str()) {
                    within(out, "member", |out| {
                        text(out, "AutoScalingGroupName", name);
                        describe_instance(out, id, state);
                    });
                }
            }
        }
    });
    out
}

fn describe_instance(out: &mut String, id: &str, state: &str) {
    text(out, "InstanceId", id);
    text(out, "LifecycleState", state);
}

fn describe_groups(alb: &LocalAlb, query: &Query) -> String {
    let asked = query.list("AutoScalingGroupNames");
    let mut out = String::new();
    within(&mut out, "AutoScalingGroups", |out| {
        for (name, group) in &*alb.scaling_groups() {
            if asked.is_empty() || asked.contains(&name.as_str()) {
                within(out, "member", |out| describe_group(out, name, &group.shown));
            }
        }
    });
    out
}

fn describe_group(out: &mut String, name: &str, group: &AutoScalingGroup) {
    text(out, "AutoScalingGroupName", name);
    text(out, "MinSize", group.min.to_string());
    text(out, "DesiredCapacity", group.desired.to_string());
    within(out, "SuspendedProcesses", |out| {
        for process in &group.suspended {
            within(out, "member", |out| text(out, "ProcessName", process));
        }
    });
    within(out, "TargetGroupARNs", |out| group.target_groups.iter().for_each(|arn| text(out, "member", arn)));
    within(out, "Instances", |out| {
        for (id, state) in &group.instances {
            within(out, "member", |out| describe_instance(out, id, state));
        }
    });
}
