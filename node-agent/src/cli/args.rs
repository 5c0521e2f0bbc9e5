//! The command line: verbs, arguments and their help.

use crate::exit;
use crate::record::RebootWhen;
use crate::settings::Flags;
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use std::path::PathBuf;

/// Takes this node out of its load balancer, patches or reboots it, and brings it back.
#[derive(Debug, Parser)]
#[command(name = "node-agent", version, after_help = exit::help())]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) verb: Verb,
    /// Configuration file [default: /etc/node-agent/config.toml, if it exists]
    #[arg(long, value_name = "FILE", env = "NODE_AGENT_CONFIG", global = true)]
    pub(super) config: Option<PathBuf>,
    /// Format of the log on standard error
    #[arg(long, env = "NODE_AGENT_LOG_FORMAT", value_enum, default_value = "text", global = true)]
    pub(super) log_format: LogFormat,
    #[command(flatten)]
    pub(super) flags: Flags,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

/// A time with its zone: a bare `04:00` could be yesterday's, or another zone's.
fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| {
        "it needs a date, a time and a zone, such as 2026-11-24T04:00:00Z or 2026-11-24T04:00:00+01:00"
            .to_owned()
    })
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Take this node out of service, run a command, reboot, and bring it back
    Maintain(MaintainArgs),
    /// Continue an interrupted or halted maintenance; never takes a node out
    Resume {
        /// Run as the driver of this node: take requests, and stay while halted or drained; for node-agent.service
        #[arg(long, hide = true)]
        stay: bool,
    },
    /// Take this node out of service until `node-agent rejoin`
    Drain(DrainArgs),
    /// Bring back a drained or halted node
    Rejoin,
    /// Check whether this node can be shut down without losing requests (exit 0: yes, 1: no)
    Check(CheckArgs),
    /// Show this node, its target groups, lease holders, the queue, and what blocks the next node
    Status(StatusArgs),
    /// Repair leases that no agent will release; runs anywhere
    #[command(subcommand)]
    Lease(LeaseVerb),
    /// Stop new maintenance in these target groups, or in all managed ones; runs anywhere
    Pause {
        /// Reason, shown on every node that waits
        #[arg(required = true)]
        reason: Vec<String>,
    },
    /// Allow new maintenance again; runs anywhere
    Unpause,
    /// Deregister and drain this node if the machine is going down; for node-agent-guard.service
    #[command(hide = true)]
    ShutdownGuard,
    /// Check that no maintenance is in progress (exit 0: none, 1: there is one); for package scripts
    #[command(hide = true)]
    Idle,
}

#[derive(Debug, Subcommand)]
pub(super) enum LeaseVerb {
    /// Free the slot of a node whose agent has stopped for good; one lease at a time
    Break {
        /// Instance ID
        id: String,
    },
    /// Remove the mark left by a failed maintenance or by `lease break`
    Clear {
        /// Instance ID
        id: String,
    },
    /// Remove the leases of terminated instances; without IDs, explain how to find them
    Gc {
        /// Instance IDs
        ids: Vec<String>,
        /// Ask EC2 which instances are terminated; runs `aws ec2 describe-instances`
        #[arg(long, conflicts_with = "ids")]
        ask_ec2: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct MaintainArgs {
    /// Reboot while out of service: always, or only if the command (exit code 194) or the system requires it
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "always", default_value = "never")]
    pub(super) reboot: RebootWhen,
    /// Give up if the node has not left service by this UTC time, such as 2026-11-24T04:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) not_after: Option<Timestamp>,
    /// Path of the calling script, which the SSM agent makes new for each run: `--run "$0"`
    #[arg(long, value_name = "SCRIPT", allow_hyphen_values = true)]
    pub(super) run: Option<String>,
    /// Show the plan and whether it could start now; change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Command to run while the node is out of service
    #[arg(last = true)]
    pub(super) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct DrainArgs {
    /// Give up if the node has not left service by this UTC time, such as 2026-11-24T04:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) not_after: Option<Timestamp>,
    /// Path of the calling script, which the SSM agent makes new for each run: `--run "$0"`
    #[arg(long, value_name = "SCRIPT", allow_hyphen_values = true)]
    pub(super) run: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Check instead whether `maintain` could take this node out now
    #[arg(long)]
    pub(super) start: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}
