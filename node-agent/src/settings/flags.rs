//! The settings as flags and environment variables.

use super::{AutoScaling, OnUnhealthy};
use crate::machine::time::Length;
use serde::Serialize;
use std::path::PathBuf;

/// Settings as written on the command line or in the environment. The names are those of [`Settings`](super::Settings).
#[derive(Debug, Default, clap::Args, Serialize)]
#[command(next_help_heading = "Settings (also in the file, and as NODE_AGENT_<NAME>)")]
pub struct Flags {
    /// Target group, by ARN or name; repeatable
    #[arg(long = "target-group", env = "NODE_AGENT_TARGET_GROUPS", value_delimiter = ',', global = true)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) target_groups: Vec<String>,
    /// Our instance id, instead of asking the instance metadata service
    #[arg(long, env = "NODE_AGENT_INSTANCE_ID", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) instance_id: Option<String>,
    /// AWS region, instead of asking AWS_REGION, the profile and the instance metadata service
    #[arg(long, env = "NODE_AGENT_REGION", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) region: Option<String>,
    /// Where the record lives
    #[arg(long, env = "NODE_AGENT_STATE_DIR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state_dir: Option<PathBuf>,
    /// URL of the local health check, instead of what the target group says
    #[arg(long, env = "NODE_AGENT_HEALTH_URL", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) health_url: Option<String>,
    /// URL that returns the number of requests in flight; with it a drain may end early
    #[arg(long, env = "NODE_AGENT_IN_FLIGHT_URL", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) in_flight_url: Option<String>,
    /// Least time between DeregisterTargets and the end of the drain
    #[arg(long, env = "NODE_AGENT_DRAIN_FLOOR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) drain_floor: Option<Length>,
    /// Give up before leaving service after this long
    #[arg(long, env = "NODE_AGENT_LEASE_WAIT", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lease_wait: Option<Length>,
    /// How long the command may run
    #[arg(long, env = "NODE_AGENT_COMMAND_LIMIT", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) command_limit: Option<Length>,
    /// How long the service may take to pass the local health check
    #[arg(long, env = "NODE_AGENT_HEALTH_LIMIT", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) health_limit: Option<Length>,
    /// What to do with a node whose service does not get healthy
    #[arg(long, env = "NODE_AGENT_ON_UNHEALTHY", global = true, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_unhealthy: Option<OnUnhealthy>,
    /// What to do in an Auto Scaling group
    #[arg(long, env = "NODE_AGENT_ASG", global = true, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) asg: Option<AutoScaling>,
    /// Go out even if nobody is left to serve (a group of one)
    #[arg(long, env = "NODE_AGENT_ALLOW_EMPTY", global = true)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) allow_empty: bool,
    /// Go on although this node is unhealthy itself
    #[arg(long, env = "NODE_AGENT_REPAIR", global = true)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) repair: bool,
    /// Run the command again if it was running when the agent was killed
    #[arg(long, env = "NODE_AGENT_RERUN", global = true)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) rerun: bool,
    /// Do not count zones when cross-zone load balancing is off
    #[arg(long, env = "NODE_AGENT_IGNORE_ZONES", global = true)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) ignore_zones: bool,
}
