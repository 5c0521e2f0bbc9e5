//! Settings as flags and environment variables.

use super::{AutoScaling, OnUnhealthy};
use crate::machine::time::Length;
use clap::builder::BoolishValueParser;
use serde::Serialize;
use std::path::PathBuf;

/// Settings from the command line or the environment, with the names of [`Settings`](super::Settings).
#[derive(Debug, Default, clap::Args, Serialize)]
#[command(
    next_help_heading = "Settings, also in the configuration file (a DURATION is a number and a unit, such as 30s, 10m or 4h)"
)]
pub struct Flags {
    /// Target group, by ARN or name; repeatable [default: groups tagged node-agent/managed=true]
    #[arg(
        long = "target-group",
        value_name = "GROUP",
        env = "NODE_AGENT_TARGET_GROUPS",
        value_delimiter = ',',
        global = true
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) target_groups: Vec<String>,
    /// Instance ID of this node [default: from the instance metadata service]
    #[arg(long, value_name = "ID", env = "NODE_AGENT_INSTANCE_ID", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) instance_id: Option<String>,
    /// AWS region [default: AWS_REGION, then the profile, then the instance metadata service]
    #[arg(long, env = "NODE_AGENT_REGION", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) region: Option<String>,
    /// Directory of the record
    #[arg(long, value_name = "DIR", env = "NODE_AGENT_STATE_DIR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state_dir: Option<PathBuf>,
    /// URL of the local health check [default: from the target group]
    #[arg(long, value_name = "URL", env = "NODE_AGENT_HEALTH_URL", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) health_url: Option<String>,
    /// URL that returns the number of requests in flight; with it, a drain can end early [default: none]
    #[arg(long, value_name = "URL", env = "NODE_AGENT_IN_FLIGHT_URL", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) in_flight_url: Option<String>,
    /// Minimum time from DeregisterTargets to the end of the drain
    #[arg(long, value_name = "DURATION", env = "NODE_AGENT_DRAIN_FLOOR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) drain_floor: Option<Length>,
    /// Give up if the node has not left service after this long
    #[arg(long, value_name = "DURATION", env = "NODE_AGENT_LEASE_WAIT", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lease_wait: Option<Length>,
    /// Time limit for the command
    #[arg(long, value_name = "DURATION", env = "NODE_AGENT_COMMAND_LIMIT", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) command_limit: Option<Length>,
    /// Exit codes of the command that mean success, besides 0, with commas between them [default: none]
    #[arg(
        long,
        value_name = "CODES",
        env = "NODE_AGENT_SUCCESS_CODES",
        value_delimiter = ',',
        global = true
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) success_codes: Vec<u8>,
    /// Exit codes of the command that mean success and request a reboot, besides 194, with commas between them [default: none]
    #[arg(
        long,
        visible_alias = "reboot-code",
        value_name = "CODES",
        env = "NODE_AGENT_REBOOT_CODES",
        value_delimiter = ',',
        global = true
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) reboot_codes: Vec<u8>,
    /// Time limit for the service to pass the local health check
    #[arg(long, value_name = "DURATION", env = "NODE_AGENT_HEALTH_LIMIT", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) health_limit: Option<Length>,
    /// What to do with a node whose service does not become healthy
    #[arg(long, value_name = "ACTION", env = "NODE_AGENT_ON_UNHEALTHY", global = true, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_unhealthy: Option<OnUnhealthy>,
    /// What to do with a node in an Auto Scaling group
    #[arg(long, value_name = "ACTION", env = "NODE_AGENT_ASG", global = true, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) asg: Option<AutoScaling>,
    /// Leave service even if no healthy node remains
    #[arg(long, env = "NODE_AGENT_ALLOW_EMPTY", global = true, value_name = "YES|NO", num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) allow_empty: Option<bool>,
    /// Start even if this node is unhealthy
    #[arg(long, env = "NODE_AGENT_REPAIR", global = true, value_name = "YES|NO", num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) repair: Option<bool>,
    /// Run the command again if it was running when the agent was killed
    #[arg(long, env = "NODE_AGENT_RERUN", global = true, value_name = "YES|NO", num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rerun: Option<bool>,
    /// Do not count Availability Zones when cross-zone load balancing is off
    #[arg(long, env = "NODE_AGENT_IGNORE_ZONES", global = true, value_name = "YES|NO", num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ignore_zones: Option<bool>,
}
