//! Target groups and targets as the load balancer reports them, in our own types.

use serde::{Deserialize, Deserializer, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// The longest health check time-out that the API accepts; a local check never takes longer.
pub const LONGEST_CHECK: Duration = Duration::from_secs(120);
/// The longest deregistration delay that the API accepts.
const LONGEST_DELAY: u32 = 3600;
/// The longest slow start that the API accepts.
const LONGEST_SLOW_START: u32 = 900;

/// The tag with which the AWS Load Balancer Controller marks the target groups that it owns (its documentation, "Resource
/// tags"). Its value is the name of the cluster.
pub const CONTROLLER: &str = "elbv2.k8s.aws/cluster";

/// One registration: an instance may be in a group several times, with several ports.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    /// The instance id, or the address for groups of type `ip`.
    pub id: String,
    /// The port it was registered with. Deregistering without it is a silent no-op for a target with a
    /// port override, so it is never left out.
    pub port: u16,
    /// An address outside the VPC of the group: registered with the Availability Zone `all`, without which AWS refuses to
    /// register it again. Addresses inside must not have it (ELBv2 API reference, TargetDescription). It says how a target is
    /// registered, not which one it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outside_vpc: bool,
}

impl Target {
    /// A target inside the VPC.
    pub fn new(id: impl Into<String>, port: u16) -> Target {
        Target { id: id.into(), port, outside_vpc: false }
    }

    fn key(&self) -> (&str, u16) {
        (&self.id, self.port)
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Target) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Target {}

impl PartialOrd for Target {
    fn partial_cmp(&self, other: &Target) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Target {
    fn cmp(&self, other: &Target) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, self.port)
    }
}

/// Target health as ELBv2 names it. An unknown state counts as neither healthy nor drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetHealth {
    /// Registered, first checks under way.
    Initial,
    /// In service.
    Healthy,
    /// Registered, failing its checks.
    Unhealthy,
    /// Receives no traffic, for the given reason.
    Unused,
    /// Deregistered, the deregistration delay has not passed.
    Draining,
    /// Health checks are off.
    Unavailable,
    /// A state newer than this program.
    Unknown,
}

/// The health of one registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetState {
    /// Which registration.
    pub target: Target,
    /// Its availability zone, if the load balancer reports it.
    pub zone: Option<String>,
    /// Its health.
    pub health: TargetHealth,
    /// Reason code, such as `Target.NotRegistered`; empty when healthy.
    pub reason: String,
    /// The state of an active administrative override, such as `zonal_shift_active`: the load balancer sends the target no
    /// requests, whatever its health.
    pub administrative_override: Option<String>,
}

impl TargetState {
    /// Not in the group: drained, or never registered. With any other reason an `unused` target is still registered
    /// (no listener, zone not enabled, instance stopped).
    pub fn is_not_registered(&self) -> bool {
        self.health == TargetHealth::Unused && self.reason == "Target.NotRegistered"
    }

    /// Registered, but no load balancer sends requests to it or checks its health: no listener forwards to the group, as with
    /// the idle colour of a blue/green pair, or its zone is not enabled (ELBv2 API reference, TargetHealth).
    pub fn is_not_in_use(&self) -> bool {
        self.health == TargetHealth::Unused && self.reason == "Target.NotInUse"
    }

    /// Healthy, and not kept from traffic by a zonal shift.
    pub fn is_capacity(&self) -> bool {
        self.health == TargetHealth::Healthy && self.administrative_override.is_none()
    }

    /// In the group, so the load balancer may send it requests now or later.
    pub fn is_registered(&self) -> bool {
        self.health != TargetHealth::Draining && !self.is_not_registered()
    }
}

/// Whether no load balancer uses the group: none of its targets is in use.
pub fn is_idle(targets: &[TargetState]) -> bool {
    let mut registered = targets.iter().filter(|state| state.is_registered()).peekable();
    registered.peek().is_some() && registered.all(TargetState::is_not_in_use)
}

impl fmt::Display for TargetState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.health {
            TargetHealth::Initial => "initial",
            TargetHealth::Healthy => "healthy",
            TargetHealth::Unhealthy => "unhealthy",
            TargetHealth::Unused => "unused",
            TargetHealth::Draining => "draining",
            TargetHealth::Unavailable => "unavailable",
            TargetHealth::Unknown => "in a state unknown to this version",
        };
        write!(f, "{word}")?;
        if !self.reason.is_empty() {
            write!(f, " ({})", self.reason)?;
        }
        if let Some(state) = &self.administrative_override {
            write!(f, ", without traffic ({state})")?;
        }
        Ok(())
    }
}

/// What a group's targets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetType {
    /// EC2 instance ids.
    Instance,
    /// Addresses. A draining one cannot be registered again before the deregistration delay has passed.
    Ip,
}

/// How one group and its leases name this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnIds<'a> {
    /// The instance id, which names its lease, and its targets in groups of type `instance`.
    pub instance: &'a str,
    /// All its addresses, in groups of type `ip`.
    pub addresses: &'a [IpAddr],
}

impl OwnIds<'_> {
    /// Whether a target id, or the target in a lease, is this node. An IPv6 address may be written in several ways.
    pub fn include(&self, target_id: &str) -> bool {
        let is_address = || target_id.parse().is_ok_and(|address| self.addresses.contains(&address));
        target_id == self.instance || is_address()
    }

    /// The registrations of this node with any port and any address, without those that are draining.
    pub fn registered<'a>(&self, health: &'a [TargetState]) -> impl Iterator<Item = &'a TargetState> {
        health.iter().filter(|state| self.include(&state.target.id) && state.is_registered())
    }
}

/// How the load balancer checks a target; the local check does the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Over TLS.
    pub https: bool,
    /// In HTTP/2. The local check speaks HTTP/1.1 alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub http2: bool,
    /// A port of its own; `None` means the port of the target.
    pub port: Option<u16>,
    /// Path, with the leading slash.
    pub path: String,
    /// How long an answer may take.
    #[serde(deserialize_with = "short")]
    pub timeout: Duration,
    /// The statuses that pass: `200`, `200,204`, `200-299`.
    pub matcher: String,
}

/// A target group, with what its attributes say about leaving and entering service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetGroup {
    /// Its ARN.
    pub arn: String,
    /// Its name, for people.
    pub name: String,
    /// What its targets are.
    pub target_type: TargetType,
    /// The port of a target that is registered without one, as an Auto Scaling group does.
    pub port: Option<u16>,
    /// The load balancer uses the IPv6 addresses of its instances.
    pub ipv6: bool,
    /// How its targets are checked.
    pub health_check: HealthCheck,
}

/// The attributes of a target group that matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// How long a deregistered target is shown as draining: 0 to 3600 s.
    #[serde(deserialize_with = "short")]
    pub deregistration_delay: Duration,
    /// How long a new healthy target gets less than its full share: 0, or 30 to 900 s.
    #[serde(deserialize_with = "short")]
    pub slow_start: Duration,
    /// Below this many healthy targets the load balancer sends traffic to all of them, unhealthy included
    /// (or takes the zone out of DNS).
    pub minimum_healthy_count: u32,
    /// Like `minimum_healthy_count`, as a percentage of the registered targets.
    pub minimum_healthy_percent: u32,
    /// Traffic crosses zones. When it is off, each zone needs enough targets of its own.
    pub cross_zone: bool,
}

impl Attributes {
    /// Reads the key/value list of DescribeTargetGroupAttributes. A missing or unreadable value becomes the default from
    /// the API reference. A value above the API's maximum becomes that maximum.
    pub fn from_pairs(pairs: &BTreeMap<String, String>) -> Attributes {
        let number = |key: &str| pairs.get(key).and_then(|value| value.parse::<u32>().ok());
        let seconds = |key: &str, default: u32, most: u32| {
            Duration::from_secs(number(key).unwrap_or(default).min(most).into())
        };
        let most = |kind: &str| {
            let of =
                |what: &str| number(&format!("target_group_health.{what}.minimum_healthy_targets.{kind}"));
            of("unhealthy_state_routing").max(of("dns_failover")).unwrap_or(0)
        };
        Attributes {
            deregistration_delay: seconds("deregistration_delay.timeout_seconds", 300, LONGEST_DELAY),
            slow_start: seconds("slow_start.duration_seconds", 0, LONGEST_SLOW_START),
            minimum_healthy_count: most("count"),
            minimum_healthy_percent: most("percentage").min(100),
            // `use_load_balancer_configuration` is on: for an ALB the load balancer's own attribute is true and cannot be changed
            // (ELBv2 API reference, LoadBalancerAttribute).
            cross_zone: pairs.get("load_balancing.cross_zone.enabled").is_none_or(|value| value != "false"),
        }
    }
}

/// Rejects a damaged record's duration that could overflow when added to others.
fn short<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let length = Duration::deserialize(deserializer)?;
    if length <= Duration::from_secs(LONGEST_DELAY.into()) {
        return Ok(length);
    }
    Err(serde::de::Error::custom(format!("{length:?} is longer than {LONGEST_DELAY} s")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_kind_of_unused_is_out_of_the_group() {
        let state = |health, reason: &str| TargetState {
            target: Target::new("i-1", 80),
            zone: None,
            health,
            reason: reason.into(),
            administrative_override: None,
        };
        assert!(state(TargetHealth::Unused, "Target.NotRegistered").is_not_registered());
        assert!(state(TargetHealth::Unused, "Target.NotInUse").is_registered());
        assert!(state(TargetHealth::Unused, "Target.InvalidState").is_registered());
        assert!(!state(TargetHealth::Draining, "Target.DeregistrationInProgress").is_registered());
        assert!(state(TargetHealth::Unknown, "").is_registered());
    }

    #[test]
    fn attributes_fall_back_to_their_documented_defaults() {
        let attributes = Attributes::from_pairs(&BTreeMap::new());
        assert_eq!(attributes.deregistration_delay, Duration::from_secs(300));
        assert!(attributes.cross_zone);
        let pairs = [
            ("deregistration_delay.timeout_seconds", "60"),
            ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "2"),
            ("target_group_health.dns_failover.minimum_healthy_targets.count", "off"),
            ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "50"),
            ("load_balancing.cross_zone.enabled", "false"),
        ];
        let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let attributes = Attributes::from_pairs(&pairs);
        assert_eq!(attributes.deregistration_delay, Duration::from_secs(60));
        assert_eq!((attributes.minimum_healthy_count, attributes.minimum_healthy_percent), (2, 50));
        assert!(!attributes.cross_zone);
    }
}
