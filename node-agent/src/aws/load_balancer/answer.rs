//! The API's answers, in our own types.

use super::error::printable;
use crate::aws::target_group::{
    HealthCheck, LONGEST_CHECK, Target, TargetGroup, TargetHealth, TargetState, TargetType,
};
use aws_sdk_elasticloadbalancingv2::types::{
    AdministrativeOverride, ProtocolEnum, TargetAdministrativeOverrideStateEnum, TargetDescription,
    TargetGroupIpAddressTypeEnum, TargetHealthDescription, TargetHealthStateEnum, TargetTypeEnum,
};
use std::time::Duration;

/// The Availability Zone of an address outside the VPC.
const OUTSIDE_VPC: &str = "all";

/// A target group of a kind that this program does not support.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "the target group {name} ({arn}) {why}; node-agent works with groups of type instance or ip behind an Application Load Balancer"
)]
pub struct Unsupported {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Why it is not supported.
    pub why: String,
}

pub(super) fn target_group(
    group: &aws_sdk_elasticloadbalancingv2::types::TargetGroup,
) -> Result<TargetGroup, Unsupported> {
    let arn = group.target_group_arn().unwrap_or_default().to_owned();
    let name = group.target_group_name().unwrap_or_default().to_owned();
    let unsupported =
        |why: String| Unsupported { arn: arn.clone(), name: name.clone(), why: printable(&why) };
    if arn.is_empty() || name.is_empty() {
        return Err(unsupported("has no ARN or no name in the API's answer".to_owned()));
    }
    let target_type = match group.target_type() {
        Some(TargetTypeEnum::Instance) => TargetType::Instance,
        Some(TargetTypeEnum::Ip) => TargetType::Ip,
        other => {
            let other = other.map_or("no type", |kind| kind.as_str());
            return Err(unsupported(format!("has targets of type {other}")));
        }
    };
    if !matches!(group.protocol(), Some(ProtocolEnum::Http | ProtocolEnum::Https)) {
        let protocol = group.protocol().map_or("no protocol", |protocol| protocol.as_str());
        return Err(unsupported(format!("uses the protocol {protocol}")));
    }
    if group.protocol_version() == Some("GRPC") {
        return Err(unsupported("uses gRPC, and node-agent cannot make gRPC health checks".to_owned()));
    }
    let matcher = group.matcher().and_then(|matcher| matcher.http_code()).unwrap_or("200");
    let seconds = group.health_check_timeout_seconds().and_then(|seconds| u64::try_from(seconds).ok());
    let health_check = HealthCheck {
        https: group.health_check_protocol() == Some(&ProtocolEnum::Https),
        http2: group.protocol_version() == Some("HTTP2"),
        port: group.health_check_port().and_then(|port| port.parse().ok()),
        // Without the leading slash the path would become part of the host name.
        path: group.health_check_path().filter(|path| path.starts_with('/')).unwrap_or("/").to_owned(),
        timeout: Duration::from_secs(seconds.unwrap_or(5)).min(LONGEST_CHECK),
        matcher: matcher.to_owned(),
    };
    let ipv6 = group.ip_address_type() == Some(&TargetGroupIpAddressTypeEnum::Ipv6);
    let port = group.port().and_then(|port| u16::try_from(port).ok());
    Ok(TargetGroup { arn, name, target_type, port, ipv6, health_check })
}

/// `None`: the description names no target.
pub(super) fn target_state(description: &TargetHealthDescription) -> Option<TargetState> {
    let target = description.target()?;
    let health = description.target_health();
    let port = target.port().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let reported = health.and_then(|health| health.state());
    let state = match reported.filter(|_| port.is_some()) {
        Some(TargetHealthStateEnum::Initial) => TargetHealth::Initial,
        Some(TargetHealthStateEnum::Healthy) => TargetHealth::Healthy,
        Some(TargetHealthStateEnum::Unhealthy) => TargetHealth::Unhealthy,
        Some(TargetHealthStateEnum::Unused) => TargetHealth::Unused,
        Some(TargetHealthStateEnum::Draining) => TargetHealth::Draining,
        Some(TargetHealthStateEnum::Unavailable) => TargetHealth::Unavailable,
        _ => TargetHealth::Unknown,
    };
    let reason = health.and_then(|health| health.reason()).map_or("", |reason| reason.as_str());
    let outside_vpc = target.availability_zone() == Some(OUTSIDE_VPC);
    Some(TargetState {
        target: Target { outside_vpc, ..Target::new(named(target.id())?, port.unwrap_or(0)) },
        zone: target.availability_zone().map(printable),
        health: state,
        reason: printable(reason),
        administrative_override: description.administrative_override().and_then(active_override),
    })
}

/// The state of an override that is active. A state newer than this program counts as active: it can only cost capacity.
fn active_override(administrative: &AdministrativeOverride) -> Option<String> {
    use TargetAdministrativeOverrideStateEnum::{NoOverride, UnknownValue};
    let state = administrative.state().filter(|state| !matches!(state, NoOverride | UnknownValue))?;
    Some(printable(state.as_str()))
}

/// The name, unless it is missing: then the SDK returns an empty one.
pub(super) fn named(name: Option<&str>) -> Option<String> {
    name.filter(|name| !name.is_empty()).map(ToOwned::to_owned)
}

pub(super) fn unknown(target: Target) -> TargetState {
    TargetState {
        target,
        zone: None,
        health: TargetHealth::Unknown,
        reason: String::new(),
        administrative_override: None,
    }
}

pub(super) fn description(target: &Target) -> TargetDescription {
    let zone = target.outside_vpc.then(|| OUTSIDE_VPC.to_owned());
    TargetDescription::builder().id(&target.id).port(target.port.into()).set_availability_zone(zone).build()
}
