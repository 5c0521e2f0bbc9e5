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
            let ids = query.list("InstanceIds");
            let done = if action == "ExitStandby" {
                alb.exit_standby(group, &ids)
            } else {
                let decrement = query
                    .get("ShouldDecrementDesiredCapacity")
                    .ok_or_else(|| missing("shouldDecrementDesiredCapacity"))?;
                alb.enter_standby(group, &ids, decrement == "true")
            };
            done.map_err(ApiError::validation)?;
            Ok(activities(alb, group, &ids, action))
        }
        "UpdateAutoScalingGroup" => {
            let name = query.get("AutoScalingGroupName").ok_or_else(|| missing("autoScalingGroupName"))?;
            let (min, desired) = (number(query, "MinSize")?, number(query, "DesiredCapacity")?);
            alb.update_auto_scaling_group(name, min, desired).map_err(ApiError::validation)?;
            Ok(String::new())
        }
        unknown => {
            let version = AUTO_SCALING.version;
            let message = format!("Could not find operation {unknown} for version {version}");
            Err(ApiError::sender("InvalidAction", message))
        }
    }
}

fn number(query: &Query, name: &str) -> Result<Option<usize>, ApiError> {
    let text = query.get(name);
    let wrong = |text: &str| ApiError::validation(format!("{name} '{text}' is not a whole number"));
    text.map(|text| text.parse().map_err(|_| wrong(text))).transpose()
}

/// What the call has begun, an activity for each instance.
fn activities(alb: &LocalAlb, group: &str, ids: &[&str], action: &str) -> String {
    let mut out = String::new();
    within(&mut out, "Activities", |out| {
        for id in ids {
            let (verb, status) = match action {
                "EnterStandby" => ("Moving EC2 instance to Standby", "InProgress"),
                _ => ("Moving EC2 instance out of Standby", "PreInService"),
            };
            within(out, "member", |out| {
                text(out, "ActivityId", alb.request_id());
                text(out, "AutoScalingGroupName", group);
                text(out, "Description", format!("{verb}: {id}"));
                text(out, "Cause", format!("At the request of a user, instance {id} was moved."));
                text(out, "StartTime", CREATED);
                text(out, "StatusCode", status);
                text(out, "Progress", "50");
            });
        }
    });
    out
}

/// When everything here was made: nothing depends on it, and two runs look alike.
const CREATED: &str = "2026-01-01T00:00:00Z";
/// The most that a group may have. It is not enforced.
const MAX_SIZE: usize = 100;

fn describe_instances(alb: &LocalAlb, query: &Query) -> String {
    let asked = query.list("InstanceIds");
    let mut out = String::new();
    within(&mut out, "AutoScalingInstances", |out| {
        for (name, group) in &*alb.scaling_groups() {
            for (id, state) in &group.instances {
                if asked.is_empty() || asked.contains(&id.as_str()) {
                    within(out, "member", |out| {
                        text(out, "AutoScalingGroupName", name);
                        describe_instance(out, alb, id, state);
                    });
                }
            }
        }
    });
    out
}

/// With the members that the API's model requires.
fn describe_instance(out: &mut String, alb: &LocalAlb, id: &str, state: &str) {
    let zone =
        alb.model().instances.get(id).map_or_else(|| "us-east-1a".to_owned(), |known| known.zone.clone());
    text(out, "InstanceId", id);
    text(out, "AvailabilityZone", zone);
    text(out, "LifecycleState", state);
    text(out, "HealthStatus", "HEALTHY");
    text(out, "ProtectedFromScaleIn", "false");
}

fn describe_groups(alb: &LocalAlb, query: &Query) -> String {
    let asked = query.list("AutoScalingGroupNames");
    let mut out = String::new();
    within(&mut out, "AutoScalingGroups", |out| {
        for (name, group) in &*alb.scaling_groups() {
            if asked.is_empty() || asked.contains(&name.as_str()) {
                within(out, "member", |out| describe_group(out, alb, name, group));
            }
        }
    });
    out
}

fn describe_group(out: &mut String, alb: &LocalAlb, name: &str, group: &AutoScalingGroup) {
    text(out, "AutoScalingGroupName", name);
    text(out, "MinSize", group.min.to_string());
    text(out, "MaxSize", MAX_SIZE.to_string());
    text(out, "DesiredCapacity", group.desired.to_string());
    text(out, "DefaultCooldown", "300");
    text(out, "HealthCheckType", "ELB");
    text(out, "HealthCheckGracePeriod", "0");
    text(out, "CreatedTime", CREATED);
    within(out, "AvailabilityZones", |out| text(out, "member", "us-east-1a"));
    within(out, "SuspendedProcesses", |out| {
        for process in &group.suspended {
            within(out, "member", |out| text(out, "ProcessName", process));
        }
    });
    within(out, "TargetGroupARNs", |out| group.target_groups.iter().for_each(|arn| text(out, "member", arn)));
    within(out, "Instances", |out| {
        for (id, state) in &group.instances {
            within(out, "member", |out| describe_instance(out, alb, id, state));
        }
    });
}
