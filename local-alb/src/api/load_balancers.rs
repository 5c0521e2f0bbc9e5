//! DescribeLoadBalancers and DescribeLoadBalancerAttributes: there is one load balancer. Pages of answers.

use super::answer::{Answer, ApiError, text, within};
use super::query::Query;
use crate::model::Model;

/// AWS's limit for `PageSize`.
const LARGEST_PAGE: usize = 400;

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
    let attributes = [
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
    list_attributes(&mut out, attributes.into_iter());
    Ok(out)
}

/// The attributes of a target group or a load balancer.
pub(super) fn list_attributes<'a>(out: &mut String, attributes: impl Iterator<Item = (&'a str, &'a str)>) {
    within(out, "Attributes", |out| {
        for (key, value) in attributes {
            within(out, "member", |out| {
                text(out, "Key", key);
                text(out, "Value", value);
            });
        }
    });
}

/// The marker of the next page, if there is one.
pub(super) fn next_marker(out: &mut String, first: usize, size: usize, all: usize) {
    let next = first.saturating_add(size);
    if next < all {
        text(out, "NextMarker", next.to_string());
    }
}

/// The first entry of the requested page, and the page size.
pub(super) fn page(query: &Query) -> Result<(usize, usize), ApiError> {
    let number = |name: &str, default: usize| match query.get(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| ApiError::validation(format!("{name} '{text}' is not valid"))),
    };
    let size: usize = number("PageSize", LARGEST_PAGE)?;
    if !(1..=LARGEST_PAGE).contains(&size) {
        return Err(ApiError::validation(format!("PageSize must be between 1 and {LARGEST_PAGE}")));
    }
    Ok((number("Marker", 0)?, size))
}
