//! DescribeLoadBalancers and DescribeLoadBalancerAttributes: there is one load balancer.

use super::answer::{Answer, ApiError, attributes, text, within};
use super::pages::page;
use super::query::Query;
use crate::model::Model;

/// Describes the only load balancer.
pub(super) fn describe(model: &Model, query: &Query) -> Answer {
    let arn = model.load_balancer_arn();
    let asked = [query.list("LoadBalancerArns"), query.list("Names")].concat();
    if asked.iter().any(|asked| *asked != arn && *asked != "local") {
        return Err(load_balancer_not_found());
    }
    let (first, _) = page(query)?;
    let mut out = String::new();
    if first > 0 {
        return Ok("<LoadBalancers/>".to_owned());
    }
    within(&mut out, "LoadBalancers", |out| {
        within(out, "member", |out| {
            text(out, "LoadBalancerArn", &arn);
            text(out, "DNSName", "localhost");
            text(out, "LoadBalancerName", "local");
            text(out, "Scheme", "internal");
            text(out, "VpcId", "vpc-0a1b2c3d4e5f60718");
            within(out, "State", |out| text(out, "Code", "active"));
            text(out, "Type", "application");
            within(out, "AvailabilityZones", |out| {
                let zones: std::collections::BTreeSet<_> =
                    model.instances.values().map(|instance| &instance.zone).collect();
                for zone in zones {
                    within(out, "member", |out| text(out, "ZoneName", zone));
                }
            });
            text(out, "IpAddressType", "ipv4");
        });
    });
    Ok(out)
}

pub(super) fn load_balancer_not_found() -> ApiError {
    ApiError::sender("LoadBalancerNotFound", "One or more load balancers not found")
}

/// Those that this stand-in has, and those that a client may look for, with AWS's defaults.
pub(super) fn describe_attributes(model: &Model, query: &Query) -> Answer {
    if query.get("LoadBalancerArn") != Some(&model.load_balancer_arn()) {
        return Err(load_balancer_not_found());
    }
    let idle_timeout = model.settings.idle_timeout.as_secs().max(1).to_string();
    let values = [
        ("access_logs.s3.enabled", "false"),
        ("deletion_protection.enabled", "false"),
        ("idle_timeout.timeout_seconds", idle_timeout.as_str()),
        ("load_balancing.cross_zone.enabled", "true"),
        ("routing.http.drop_invalid_header_fields.enabled", "false"),
        ("routing.http.preserve_host_header.enabled", "false"),
        ("routing.http.xff_header_processing.mode", "append"),
        ("routing.http2.enabled", "false"),
    ];
    let mut out = String::new();
    attributes(&mut out, values);
    Ok(out)
}
