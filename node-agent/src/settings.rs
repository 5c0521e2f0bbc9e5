//! The settings. A flag overrides `NODE_AGENT_*`, a variable overrides the file, and the file overrides the default.
//!
//! A new setting is a field and a default here, a flag in `flags.rs` if it needs one, and a check in `load.rs`.

mod check;
mod error;
mod flags;
mod load;
pub(crate) mod on_record;

use crate::machine::time::Length;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use check::is_instance_id;
pub use error::SettingsError;
pub use flags::Flags;

/// The configuration file, if no other is named. It need not exist.
pub const DEFAULT_FILE: &str = "/etc/node-agent/config.toml";

/// What to do with a node whose service does not become healthy after maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum OnUnhealthy {
    /// Keep it out of service with its lease, which stops the roll.
    Halt,
    /// Register it and let the load balancer decide.
    Register,
}

/// What to do in an Auto Scaling group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum AutoScaling {
    /// Do not start, and print the choices.
    Refuse,
    /// Let the group move the instance to standby and back.
    Standby,
    /// Deregister and register as without a group.
    Ignore,
}

/// Every setting. The record keeps those of a maintenance, and `resume` uses them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Target groups by ARN or name. Empty: those tagged `node-agent/managed=true` that contain this node.
    pub target_groups: Vec<String>,
    /// Instance ID of this node. Unset: from the instance metadata service.
    pub instance_id: Option<String>,
    /// Unique ID of the instance's role (`AROA...`). It becomes part of the lease's key, so that IAM can limit a node to its own
    /// key.
    pub lease_role_id: Option<String>,
    /// AWS region. Unset: `AWS_REGION`, then the profile, then the instance metadata service.
    pub region: Option<String>,
    /// Directory of the record.
    pub state_dir: PathBuf,
    /// A file whose content changes with each boot, which proves a reboot.
    pub boot_id_path: PathBuf,
    /// The command that reboots the machine.
    pub reboot_command: Vec<String>,
    /// The command that tells whether a reboot is required: 1 yes, 0 no. Empty: what the distribution offers is asked.
    pub reboot_required_command: Vec<String>,
    /// Exit codes of the maintenance command that mean success, besides 0.
    pub success_codes: Vec<u8>,
    /// Exit codes of the maintenance command that mean success and request a reboot, besides 194.
    pub reboot_codes: Vec<u8>,
    /// The command that tells people that this node is halted or its maintenance failed. It gets JSON on standard input.
    /// Empty: none.
    pub notify_command: Vec<String>,
    /// The command that starts the driver as a process of its own. Empty: the process that asks drives. Unset: systemd starts
    /// node-agent.service, if it is installed.
    pub start_driver: Option<Vec<String>>,
    /// IP address at which the service answers the local health check. Unset: the address of the target.
    pub service_address: Option<IpAddr>,
    /// URL of the local health check. Unset: taken from the target group.
    pub health_url: Option<String>,
    /// Local checks in a row that must pass.
    pub health_passes: u32,
    /// Time between two local checks.
    pub health_interval: Length,
    /// What to do if they do not pass in time.
    pub on_unhealthy: OnUnhealthy,
    /// URL at which the service returns its number of requests in flight. With it, a drain can end early.
    pub in_flight_url: Option<String>,
    /// How long that number must stay 0.
    pub quiet_period: Length,
    /// Minimum time from DeregisterTargets to the end of the drain. Requests still arrive for seconds after the call.
    pub drain_floor: Length,
    /// What to do in an Auto Scaling group.
    pub asg: AutoScaling,
    /// Leave service even if no healthy node remains.
    pub allow_empty: bool,
    /// Start even if this node is unhealthy.
    pub repair: bool,
    /// Run the command again if it was running when the agent was killed.
    pub rerun: bool,
    /// Do not count Availability Zones when cross-zone load balancing is off.
    pub ignore_zones: bool,

    /// Give up if the node has not left service after this long.
    pub lease_wait: Length,
    /// How long a reboot by somebody else waits for its turn. After that the node leaves service without a lease.
    pub guard_wait: Length,
    /// How much longer than the deregistration delay a drain may take.
    pub drain_margin: Length,
    /// How long the command may run.
    pub command_limit: Length,
    /// Time between SIGTERM and SIGKILL when the command is stopped.
    pub command_grace: Length,
    /// How long a reboot may take to begin.
    pub reboot_limit: Length,
    /// How long the service may take to pass the local check.
    pub health_limit: Length,
    /// How long RegisterTargets may keep failing.
    pub register_limit: Length,
    /// How long the load balancer may take to report the node healthy.
    pub in_service_limit: Length,
    /// How long `drain` keeps the node out of service without `rejoin`.
    pub drained_limit: Length,

    /// S: how stale a read of tags or target health can be.
    pub staleness: Length,
    /// D: time from an acknowledged claim to the read that confirms it; at least S.
    pub settle: Length,
    /// Q: a call without a response takes effect within this time or never.
    pub quarantine: Length,
    /// T: maximum time from the first of the last reads to DeregisterTargets.
    pub validation: Length,
    /// Longest time between two reads by the next node in the queue. Others read less often.
    pub lease_poll: Length,
    /// Requests per second that all nodes of a group together may make while they wait outside the queue.
    pub fleet_rate: f64,
    /// Minimum time that a node is expected to be out of service. Waiting nodes read again when a slot is likely to be free.
    /// Unset: the minimum duration of a drain.
    pub expected_hold: Option<Length>,
    /// Time between two reads of target health while the node is out of service, multiplied by K.
    pub health_poll: Length,
    /// Time limit of one API call.
    pub api_timeout: Length,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            target_groups: Vec::new(),
            instance_id: None,
            lease_role_id: None,
            region: None,
            state_dir: "/var/lib/node-agent".into(),
            boot_id_path: "/proc/sys/kernel/random/boot_id".into(),
            reboot_command: vec!["systemctl".into(), "reboot".into()],
            reboot_required_command: Vec::new(),
            success_codes: Vec::new(),
            reboot_codes: Vec::new(),
            notify_command: Vec::new(),
            start_driver: None,
            service_address: None,
            health_url: None,
            health_passes: 3,
            health_interval: Length::from_secs(1),
            on_unhealthy: OnUnhealthy::Halt,
            in_flight_url: None,
            quiet_period: Length::from_secs(5),
            drain_floor: Length::from_secs(30),
            asg: AutoScaling::Refuse,
            allow_empty: false,
            repair: false,
            rerun: false,
            ignore_zones: false,
            lease_wait: Length::from_secs(4 * 3600),
            // EC2 forces its own reboot after a few minutes.
            guard_wait: Length::from_secs(90),
            drain_margin: Length::from_secs(120),
            command_limit: Length::from_secs(3600),
            command_grace: Length::from_secs(10),
            reboot_limit: Length::from_secs(15 * 60),
            health_limit: Length::from_secs(600),
            register_limit: Length::from_secs(600),
            in_service_limit: Length::from_secs(600),
            drained_limit: Length::from_secs(4 * 3600),
            staleness: Length::from_secs(5),
            settle: Length::from_secs(10),
            quarantine: Length::from_secs(15 * 60),
            validation: Length::from_secs(3),
            lease_poll: Length::from_secs(4),
            fleet_rate: 2.0,
            expected_hold: None,
            health_poll: Length::from_secs(1),
            api_timeout: Length::from_secs(5),
        }
    }
}

// `fleet_rate` is never NaN: it is checked.
impl Eq for Settings {}

impl Settings {
    /// The time limit of one API call.
    pub fn api_timeout(&self) -> Duration {
        self.api_timeout.0
    }
}

#[cfg(test)]
mod tests;
