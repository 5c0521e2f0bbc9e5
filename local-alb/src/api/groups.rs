//! DescribeTargetGroups, DescribeTargetGroupAttributes and ModifyTargetGroupAttributes.

use super::answer::{Answer, ApiError, attributes, text, within};
use super::load_balancers::load_balancer_not_found;
use super::pages::{next_marker, page};
use super::query::Query;
use super::targets::{group_arn, known_group, missing, not_too_many};
use crate::model::{Model, TargetGroup};

pub(super) fn describe(model: &Model, query: &Query) -> Answer {
    let (arns, names) = (query.list("TargetGroupArns"), query.list("Names"));
    if !arns.is_empty() && !names.is_empty() {
        return Err(ApiError::validation("Target group ARNs and names cannot be specified at the same time"));
    }
    not_too_many(&arns)?;
    not_too_many(&names)?;
    let is_name = |wanted: &str| model.groups.values().any(|group| group.settings.name == wanted);
    // AWS reports a group name among the ARNs as a group that was not found, not as a malformed ARN.
    if arns.iter().any(|arn| is_name(arn)) || !names.iter().all(|name| is_name(name)) {
        return Err(ApiError::group_not_found());
    }
    for arn in &arns {
        known_group(model, arn)?;
    }
    let of_ours = match query.get("LoadBalancerArn") {
        None => false,
        Some(arn) if arn == model.load_balancer_arn() => true,
        Some(_) => return Err(load_balancer_not_found()),
    };
    let wanted = |(arn, group): &(&String, &TargetGroup)| {
        let named = (arns.is_empty() && names.is_empty())
            || arns.contains(&arn.as_str())
            || names.contains(&group.settings.name.as_str());
        named && (!of_ours || group.settings.load_balancer)
    };
    let all: Vec<_> = model.groups.iter().filter(wanted).collect();
    let (first, size) = page(query)?;
    let mut out = String::new();
    within(&mut out, "TargetGroups", |out| {
        for (arn, group) in all.iter().skip(first).take(size) {
            within(out, "member", |out| describe_one(out, model, arn, group));
        }
    });
    next_marker(&mut out, first, size, all.len());
    Ok(out)
}

fn describe_one(out: &mut String, model: &Model, arn: &str, group: &TargetGroup) {
    let settings = &group.settings;
    let check = &settings.health_check;
    text(out, "TargetGroupArn", arn);
    text(out, "TargetGroupName", &settings.name);
    text(out, "TargetType", &settings.target_type);
    if settings.target_type != "lambda" {
        text(out, "Protocol", &settings.protocol);
        text(out, "Port", settings.port.to_string());
        text(out, "VpcId", "vpc-0a1b2c3d4e5f60718");
        text(out, "ProtocolVersion", &settings.protocol_version);
        text(out, "HealthCheckProtocol", &check.protocol);
        text(out, "HealthCheckPort", &check.port);
    }
    text(out, "HealthCheckEnabled", "true");
    text(out, "HealthCheckIntervalSeconds", check.interval.as_secs().max(1).to_string());
    text(out, "HealthCheckTimeoutSeconds", check.timeout.as_secs().max(1).to_string());
    text(out, "HealthyThresholdCount", check.healthy_threshold.to_string());
    text(out, "UnhealthyThresholdCount", check.unhealthy_threshold.to_string());
    text(out, "HealthCheckPath", &check.path);
    within(out, "Matcher", |out| text(out, "HttpCode", &check.matcher));
    within(out, "LoadBalancerArns", |out| {
        if settings.load_balancer {
            text(out, "member", model.load_balancer_arn());
        }
    });
    text(out, "IpAddressType", "ipv4");
}

pub(super) fn describe_attributes(model: &Model, query: &Query) -> Answer {
    let arn = group_arn(model, query)?;
    let mut out = String::new();
    if let Some(group) = model.groups.get(&arn) {
        attributes(&mut out, group.attributes.iter());
    }
    Ok(out)
}

pub(super) fn modify_attributes(model: &mut Model, query: &Query) -> Answer {
    let arn = group_arn(model, query)?;
    let group = model.groups.get_mut(&arn).ok_or_else(ApiError::group_not_found)?;
    let mut changed = group.attributes.clone();
    let pairs = query.structures("Attributes");
    if pairs.is_empty() {
        return Err(missing("attributes"));
    }
    for pair in pairs {
        let key = pair.get("Key").ok_or_else(|| missing("attributes.1.member.key"))?;
        changed.set(key, pair.get("Value").copied().unwrap_or_default()).map_err(ApiError::validation)?;
    }
    // Applied only if every attribute is valid.
    group.attributes = changed;
    let mut out = String::new();
    attributes(&mut out, group.attributes.iter());
    Ok(out)
}
