//! DescribeListeners and DescribeRules: each group that is in use has one listener, whose only rule forwards to it.

use super::answer::{Answer, ApiError, text, within};
use super::load_balancers::load_balancer_not_found;
use super::pages::{next_marker, page};
use super::query::Query;
use super::targets::missing;
use crate::model::{Model, TargetGroup};

/// A listener's ARN and the group that it forwards to.
fn listeners(model: &Model) -> Vec<(String, &str, &TargetGroup)> {
    let of_balancer = model.load_balancer_arn().replace(":loadbalancer/", ":listener/");
    let in_use = model.groups.iter().filter(|(_, group)| group.settings.load_balancer);
    let listener = |arn: &str| {
        let id = arn.rsplit('/').next().unwrap_or_default();
        format!("{of_balancer}/{id}")
    };
    in_use.map(|(arn, group)| (listener(arn), arn.as_str(), group)).collect()
}

fn not_found() -> ApiError {
    ApiError::sender("ListenerNotFound", "One or more listeners not found")
}

pub(super) fn describe(model: &Model, query: &Query) -> Answer {
    let asked = query.list("ListenerArns");
    match query.get("LoadBalancerArn") {
        Some(arn) if arn != model.load_balancer_arn() => return Err(load_balancer_not_found()),
        None if asked.is_empty() => {
            return Err(ApiError::validation("You must specify either listener ARNs or a load balancer ARN"));
        }
        _ => (),
    }
    let mut all = listeners(model);
    if asked.iter().any(|arn| !all.iter().any(|(known, ..)| known == arn)) {
        return Err(not_found());
    }
    all.retain(|(arn, ..)| asked.is_empty() || asked.contains(&arn.as_str()));
    let (first, size) = page(query)?;
    let mut out = String::new();
    within(&mut out, "Listeners", |out| {
        for (arn, group_arn, group) in all.iter().skip(first).take(size) {
            within(out, "member", |out| {
                text(out, "ListenerArn", arn);
                text(out, "LoadBalancerArn", model.load_balancer_arn());
                text(out, "Port", group.settings.port.to_string());
                text(out, "Protocol", "HTTP");
                within(out, "DefaultActions", |out| forwards(out, group_arn));
            });
        }
    });
    next_marker(&mut out, first, size, all.len());
    Ok(out)
}

/// Whether an ARN is that of a listener or a rule.
pub(super) fn is_known(model: &Model, arn: &str) -> bool {
    listeners(model).iter().any(|(listener, ..)| arn == listener || arn == rule_of(listener))
}

fn rule_of(listener: &str) -> String {
    listener.replace(":listener/", ":listener-rule/") + "/0123456789abcdef"
}

pub(super) fn describe_rules(model: &Model, query: &Query) -> Answer {
    let listener = query.get("ListenerArn").ok_or_else(|| missing("listenerArn"))?;
    let all = listeners(model);
    let (arn, group_arn, _) = all.iter().find(|(arn, ..)| arn == listener).ok_or_else(not_found)?;
    let mut out = String::new();
    within(&mut out, "Rules", |out| {
        within(out, "member", |out| {
            text(out, "RuleArn", rule_of(arn));
            text(out, "Priority", "default");
            out.push_str("<Conditions/>");
            within(out, "Actions", |out| forwards(out, group_arn));
            text(out, "IsDefault", "true");
        });
    });
    Ok(out)
}

fn forwards(out: &mut String, group_arn: &str) {
    within(out, "member", |out| {
        text(out, "Type", "forward");
        text(out, "TargetGroupArn", group_arn);
        within(out, "ForwardConfig", |out| {
            within(out, "TargetGroups", |out| {
                within(out, "member", |out| {
                    text(out, "TargetGroupArn", group_arn);
                    text(out, "Weight", "1");
                });
            });
        });
    });
}
