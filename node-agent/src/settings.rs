//! What a user can set: flags over `NODE_AGENT_*` over the file over the defaults.

mod flags;
mod load;
pub(crate) mod on_record;

use crate::machine::time::Length;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

pub use flags::Flags;
pub use load::SettingsError;
pub(crate) use load::is_instance_id;

/// Where the file is looked for when no other is named; it need not exist.
pub const DEFAULT_FILE: &str = "/etc/node-agent/config.toml";

/// What to do with a node whose service does not get healthy after maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum OnUnhealthy {
    /// Keep it out, keep the lease, stop the roll.
    Halt,
    /// Register it all the same and let the load balancer judge.
    Register,
}

/// What to do in an Auto Scaling group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum AutoScaling {
    /// Do nothing and say what the choices are.
    Refuse,
    /// Move the instance to standby and back: the group deregisters and registers it.
    Standby,
    /// Go ahead as if there were no Auto Scaling group.
    Ignore,
}

/// Every setting, with its value. The part of the record that survives a reboot, too: `resume` goes by what
/// `maintain` was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Target groups by ARN or name; empty: those tagged `node-agent/managed=true` that contain us.
    pub target_groups: Vec<String>,
    /// Our instance id; unset, the instance metadata service is asked.
    pub instance_id: Option<String>,
    /// The unique id of the instance's role (`AROA...`): it stands in the key of our lease, so that IAM can pin the key to us.
    pub lease_role_id: Option<String>,
    /// The AWS region; unset, AWS_REGION, the profile and the instance metadata service are asked.
    pub region: Option<String>,
    /// Where the record lives.
    pub state_dir: PathBuf,
    /// What proves a reboot: a file whose content is new after each boot.
    pub boot_id_path: PathBuf,
    /// The command that reboots the machine.
    pub reboot_command: Vec<String>,
    /// A command that tells people, with JSON on its standard input, that this node is halted or its maintenance failed;
    /// empty: nobody is told.
    pub notify_command: Vec<String>,
    /// The command that starts the driver as a process of its own; empty: whoever asks drives. Unset: systemd starts
    /// node-agent.service, where that is installed.
    pub start_driver: Option<Vec<String>>,
    /// Where our own service answers the local health check.
    pub service_address: IpAddr,
    /// A URL for the local health check, instead of what the target group says.
    pub health_url: Option<String>,
    /// How many local checks in a row must pass.
    pub health_passes: u32,
    /// Time between two local checks.
    pub health_interval: Length,
    /// What to do when they do not pass in time.
    pub on_unhealthy: OnUnhealthy,
    /// A URL of the service that returns the number of requests in flight: with it a drain may end early.
    pub in_flight_url: Option<String>,
    /// How long that number must have been 0.
    pub quiet_period: Length,
    /// No drain is over sooner: requests still arrive for seconds after DeregisterTargets.
    pub drain_floor: Length,
    /// What to do in an Auto Scaling group.
    pub asg: AutoScaling,
    /// Go out even if nobody is left to serve (a group of one).
    pub allow_empty: bool,
    /// Go on although this node is unhealthy itself.
    pub repair: bool,
    /// Run the command again when it was running as the agent was killed.
    pub rerun: bool,
    /// Do not count zones when cross-zone load balancing is off.
    pub ignore_zones: bool,

    /// Give up before leaving service after this long.
    pub lease_wait: Length,
    /// How much longer than the deregistration delay a drain may take.
    pub drain_margin: Length,
    /// How long the command may run.
    pub command_limit: Length,
    /// How long a stopped command gets between SIGTERM and SIGKILL.
    pub command_grace: Length,
    /// How long a reboot may take to begin.
    pub reboot_limit: Length,
    /// How long the service may take to pass the local check.
    pub health_limit: Length,
    /// How long RegisterTargets may be refused.
    pub register_limit: Length,
    /// How long the load balancer may take to call us healthy.
    pub in_service_limit: Length,
    /// How long `drain` keeps the node out without a `rejoin`.
    pub drained_limit: Length,

    /// S: how stale a read of one tag, or of target health, may be.
    pub staleness: Length,
    /// D: from an acknowledged claim to the read that confirms it; at least S.
    pub settle: Length,
    /// Q: a request that was given up on takes effect within this time or never.
    pub quarantine: Length,
    /// T: from the beginning of the last reads to DeregisterTargets, at the most.
    pub validation: Length,
    /// Time between two looks at slots that are taken, for the node that is next in line; others look less often.
    pub lease_poll: Length,
    /// Requests per second that all nodes of a group together make while they wait for a slot outside the queue.
    pub fleet_rate: f64,
    /// How long a node is out, at least: those who wait look when a slot is likely to come free. Unset: as long as a
    /// drain takes at least.
    pub expected_hold: Option<Length>,
    /// Time between two looks at target health while out, for one node at a time; K nodes look K times less.
    pub health_poll: Length,
    /// How long one API call may take.
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
            notify_command: Vec::new(),
            start_driver: None,
            service_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
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

// Rates are checked to be positive numbers.
impl Eq for Settings {}

impl Settings {
    /// How long one API call may take.
    pub fn api_timeout(&self) -> Duration {
        self.api_timeout.0
    }
}

#[cfg(test)]
mod tests;
