//! Settings of the load balancer, for the library and for the configuration file of the binary.

use crate::faults::Faults;
use crate::length::length;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Settings of the load balancer itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The region, in ARNs and in the instance metadata.
    pub region: String,
    /// The account in ARNs.
    pub account: String,
    /// Seed of every random choice. With a paused clock, a seed always gives the same run.
    pub seed: u64,
    /// How long a registration or deregistration takes to reach the data plane. On AWS: seconds to tens of seconds.
    #[serde(deserialize_with = "length")]
    pub propagation_lag: Duration,
    /// Idle time-out of the connections to clients and to targets. If neither sends anything for this long, the client gets
    /// 504 or, once the response has begun, the response is cut off. An ALB's default is 60 s.
    #[serde(deserialize_with = "length")]
    pub idle_timeout: Duration,
    /// How long a target can take to accept a connection before the client gets 504. 10 s on an ALB.
    #[serde(deserialize_with = "length")]
    pub connect_timeout: Duration,
    /// Whether idle connections to a target stay open after its deregistration, until the idle time-out closes them.
    /// Otherwise they are closed as soon as the data plane knows. AWS documents neither.
    pub keep_draining_connections: bool,
    /// Addresses outside the VPC. As targets they need the Availability Zone `all`, and others must not have it. Empty: zones
    /// are not checked.
    pub outside_vpc: Vec<IpAddr>,
    /// Faults of the API.
    pub faults: Faults,
    /// Whether the API calls are kept, for [`LocalAlb::calls`](crate::LocalAlb::calls): half a kilobyte each.
    #[serde(skip)]
    pub keep_calls: bool,
    /// How health checks are made.
    #[serde(skip)]
    pub probes: Probes,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            region: "us-east-1".to_owned(),
            account: "123456789012".to_owned(),
            seed: 0,
            propagation_lag: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(10),
            keep_draining_connections: true,
            outside_vpc: Vec::new(),
            faults: Faults::default(),
            keep_calls: false,
            probes: Probes::Http,
        }
    }
}

/// How health checks are made.
#[derive(Clone, Default)]
pub enum Probes {
    /// HTTP requests to the instance's address.
    #[default]
    Http,
    /// A function of instance id and port. It needs no sockets, so it works with a paused clock.
    Scripted(Arc<Script>),
}

/// Returns the result of a health check of this instance and port.
pub type Script = dyn Fn(&str, u16) -> Probe + Send + Sync;

impl fmt::Debug for Probes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Probes::Http => "Http",
            Probes::Scripted(_) => "Scripted",
        })
    }
}

/// The result of one health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// A response with this status.
    Status(u16),
    /// No response in time.
    TimedOut,
    /// The connection was refused or closed.
    Failed,
}

/// An EC2 instance.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// `i-...`
    pub id: String,
    /// The address for its traffic and its health checks. Sockets are opened to loopback addresses only: with any other
    /// address, requests get 503, and health checks fail unless they are [`Probes::Scripted`].
    pub address: IpAddr,
    /// Its availability zone.
    #[serde(default = "default_zone")]
    pub zone: String,
}

fn default_zone() -> String {
    "us-east-1a".to_owned()
}

/// A target group. The defaults are those of the demo: HTTP, a check every 6 s, both thresholds 2.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetGroupSettings {
    /// Its name: 1 to 32 letters, digits and hyphens.
    pub name: String,
    /// `HTTP`, or `HTTPS` for TLS with any certificate. Groups with other protocols are described, but not served.
    pub protocol: String,
    /// `HTTP1`, `HTTP2` or `GRPC`. Only the first is spoken to targets; the others are described.
    pub protocol_version: String,
    /// Default port of targets.
    pub port: u16,
    /// `instance`, `ip`, `lambda` or `alb`.
    pub target_type: String,
    /// How targets are checked.
    pub health_check: HealthCheck,
    /// Attributes that override AWS's defaults.
    pub attributes: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Initially registered targets, as (id, port).
    pub targets: Vec<(String, u16)>,
    /// Whether the group is attached to the load balancer. Otherwise its targets are `unused` (`Target.NotInUse`).
    pub load_balancer: bool,
}

impl Default for TargetGroupSettings {
    fn default() -> TargetGroupSettings {
        TargetGroupSettings {
            name: "demo".to_owned(),
            protocol: "HTTP".to_owned(),
            protocol_version: "HTTP1".to_owned(),
            port: 8080,
            target_type: "instance".to_owned(),
            health_check: HealthCheck::default(),
            attributes: BTreeMap::new(),
            tags: BTreeMap::new(),
            targets: Vec::new(),
            load_balancer: true,
        }
    }
}

/// How targets are checked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthCheck {
    /// `HTTP` or `HTTPS`.
    pub protocol: String,
    /// A port, or `traffic-port`.
    pub port: String,
    /// The path.
    pub path: String,
    /// Time between two checks of a target. AWS: 5 to 300 s, default 30 s; not limited here.
    #[serde(deserialize_with = "length")]
    pub interval: Duration,
    /// Time-out of a check. AWS: 2 to 120 s, default 5 s; not limited here.
    #[serde(deserialize_with = "length")]
    pub timeout: Duration,
    /// Consecutive passed checks that make an unhealthy target healthy.
    pub healthy_threshold: u32,
    /// Consecutive failed checks that make a target unhealthy.
    pub unhealthy_threshold: u32,
    /// Statuses that pass: `200`, `200,204`, `200-299`.
    pub matcher: String,
}

impl Default for HealthCheck {
    fn default() -> HealthCheck {
        HealthCheck {
            protocol: "HTTP".to_owned(),
            port: "traffic-port".to_owned(),
            path: "/healthz".to_owned(),
            interval: Duration::from_secs(6),
            timeout: Duration::from_secs(5),
            healthy_threshold: 2,
            unhealthy_threshold: 2,
            matcher: "200".to_owned(),
        }
    }
}

impl TargetGroupSettings {
    /// Whether AWS would take these values.
    pub(crate) fn check(&self) -> Result<(), String> {
        let one_of = |name: &str, value: &str, allowed: &[&str]| {
            let fits = allowed.contains(&value);
            if fits { Ok(()) } else { Err(format!("{name} is {value:?}: set it to {}", allowed.join(", "))) }
        };
        one_of("target_type", &self.target_type, &["instance", "ip", "lambda", "alb"])?;
        one_of("protocol_version", &self.protocol_version, &["HTTP1", "HTTP2", "GRPC"])?;
        let check = &self.health_check;
        one_of("health_check.protocol", &check.protocol, &["HTTP", "HTTPS", "TCP"])?;
        if check.interval.is_zero() || check.timeout.is_zero() {
            return Err("health_check.interval is zero, or health_check.timeout: set both to more".to_owned());
        }
        if check.healthy_threshold == 0 || check.unhealthy_threshold == 0 {
            return Err("a health check threshold is 0: set it to at least 1".to_owned());
        }
        if !check.path.starts_with('/') {
            return Err(format!("health_check.path is {:?}: it begins with a slash", check.path));
        }
        if check.port != "traffic-port" && !check.port.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err(format!(
                "health_check.port is {:?}: set it to a port, or to traffic-port",
                check.port
            ));
        }
        if check.ranges().any(|range| range.is_none()) {
            let text = &check.matcher;
            return Err(format!("health_check.matcher is {text:?}: such as 200, 200,204 or 200-299"));
        }
        Ok(())
    }
}

impl HealthCheck {
    /// The statuses that pass. `None`: a part that is none.
    fn ranges(&self) -> impl Iterator<Item = Option<std::ops::RangeInclusive<u16>>> {
        self.matcher.split(',').map(|part| {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            let range = low.trim().parse::<u16>().ok().zip(high.trim().parse::<u16>().ok());
            range.map(|(low, high)| low..=high).filter(|range| *range.start() >= 200 && *range.end() <= 499)
        })
    }

    /// The health check port of a target with this port.
    pub fn port_for(&self, target_port: u16) -> u16 {
        self.port.parse().unwrap_or(target_port)
    }

    /// Whether a status passes.
    pub fn passes(&self, status: u16) -> bool {
        self.ranges().flatten().any(|range| range.contains(&status))
    }
}
