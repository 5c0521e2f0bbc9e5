//! What the load balancer is to be like. The same structs serve the library and the binary's configuration file.

use crate::faults::Faults;
use crate::length::length;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The load balancer itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The region in ARNs, and what the metadata service says.
    pub region: String,
    /// The account in ARNs.
    pub account: String,
    /// Seeds every random choice: the same seed gives the same run on a paused clock.
    pub seed: u64,
    /// How long a registration or deregistration takes to reach the data plane. On AWS: seconds to tens of seconds.
    #[serde(deserialize_with = "length")]
    pub propagation_lag: Duration,
    /// How long client and target may both be silent before the client gets 504, or, once the answer has begun, before
    /// it is broken off. An ALB's default is 60 s.
    #[serde(deserialize_with = "length")]
    pub idle_timeout: Duration,
    /// How long a target may take to accept a connection before the client gets 504. An ALB's is 10 s.
    #[serde(deserialize_with = "length")]
    pub connect_timeout: Duration,
    /// What goes wrong.
    pub faults: Faults,
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
            faults: Faults::default(),
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
    /// A function of instance id and port. Without sockets, so it goes with a paused clock.
    Scripted(Arc<Script>),
}

/// What a health check of this instance and port sees.
pub type Script = dyn Fn(&str, u16) -> Probe + Send + Sync;

impl fmt::Debug for Probes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Probes::Http => "Http",
            Probes::Scripted(_) => "Scripted",
        })
    }
}

/// What one health check saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// An answer with this status.
    Status(u16),
    /// No answer in time.
    TimedOut,
    /// No connection, or a broken one.
    Failed,
}

/// An EC2 instance, as far as a load balancer cares.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// `i-...`
    pub id: String,
    /// Where its traffic and its health checks go. Sockets are opened to loopback addresses only: with any other one
    /// health checks fail and requests get 503, unless [`Probes::Scripted`] makes the checks.
    pub address: IpAddr,
    /// Its availability zone.
    #[serde(default = "default_zone")]
    pub zone: String,
}

fn default_zone() -> String {
    "us-east-1a".to_owned()
}

/// A target group. The default is the demo's: HTTP, one check every 6 s, two of a kind to change the verdict.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetGroupSettings {
    /// Its name: up to 32 letters, digits and hyphens.
    pub name: String,
    /// `HTTP` or `HTTPS`; others are only described, not served.
    pub protocol: String,
    /// The port of targets registered without one.
    pub port: u16,
    /// `instance`, `ip`, `lambda` or `alb`.
    pub target_type: String,
    /// How targets are checked.
    pub health_check: HealthCheck,
    /// Attributes that differ from AWS's defaults.
    pub attributes: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Targets registered from the beginning, as (id, port).
    pub targets: Vec<(String, u16)>,
    /// Behind the load balancer; false: its targets are `unused` (`Target.NotInUse`).
    pub load_balancer: bool,
}

impl Default for TargetGroupSettings {
    fn default() -> TargetGroupSettings {
        TargetGroupSettings {
            name: "demo".to_owned(),
            protocol: "HTTP".to_owned(),
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
    /// The path asked for.
    pub path: String,
    /// Between two checks of one target. AWS: 5 to 300 s, default 30; here whatever is asked for.
    #[serde(deserialize_with = "length")]
    pub interval: Duration,
    /// For one answer. AWS: 2 to 120 s, default 5.
    #[serde(deserialize_with = "length")]
    pub timeout: Duration,
    /// Passed checks that make an unhealthy target healthy.
    pub healthy_threshold: u32,
    /// Failed checks that make a target unhealthy.
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

impl HealthCheck {
    /// The port that a target with this port is checked on.
    pub fn port_for(&self, target_port: u16) -> u16 {
        self.port.parse().unwrap_or(target_port)
    }

    /// Whether a status passes.
    pub fn passes(&self, status: u16) -> bool {
        self.matcher.split(',').any(|part| {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            let range = low.trim().parse::<u16>().ok().zip(high.trim().parse::<u16>().ok());
            range.is_some_and(|(low, high)| (low..=high).contains(&status))
        })
    }
}
