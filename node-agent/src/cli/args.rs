//! The command line: its verbs, their arguments and their help.

use crate::record::RebootWhen;
use crate::settings::Flags;
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Exit codes:
  0    done as asked; for check: yes
  1    the maintenance failed and the node is back in service; for check: no
  2    wrong usage or configuration, or refused: other arguments are needed; nothing was done
  3    halted: the lease is kept, a person is needed (node-agent status says why)
  75   nothing was changed, try again later
  194  asks the SSM agent for a reboot
";

/// Takes this node out of its load balancer, patches or reboots it, and brings it back.
#[derive(Debug, Parser)]
#[command(name = "node-agent", version, after_help = AFTER_HELP)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) verb: Verb,
    /// Configuration file [default: /etc/node-agent/config.toml, if it exists]
    #[arg(long, env = "NODE_AGENT_CONFIG", global = true)]
    pub(super) config: Option<PathBuf>,
    /// How to write the log, on standard error
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

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Take this node out, run the command, reboot, bring it back
    Maintain(MaintainArgs),
    /// Drive whatever is unfinished; never takes a node out
    Resume {
        /// Be the driver of this node, for node-agent.service alone: do what others ask, stay while halted or drained
        #[arg(long, hide = true)]
        stay: bool,
    },
    /// Take this node out and leave it out, until rejoin
    Drain(DrainArgs),
    /// Bring back a node that drain took out, or that halted
    Rejoin,
    /// May this node go down now? yes 0, no 1, with the reasons
    Check(CheckArgs),
    /// This node, its target groups, who holds or waits for a slot, and what blocks the next node
    Status(StatusArgs),
    /// Leases of nodes that cannot do it themselves; runs anywhere
    #[command(subcommand)]
    Lease(LeaseVerb),
    /// Nobody starts from now on, in the named target groups or all managed ones; runs anywhere
    Pause {
        /// Why, for whoever wonders
        #[arg(required = true)]
        reason: Vec<String>,
    },
    /// Lifts the pause; runs anywhere
    Unpause,
    /// Leave and drain before the machine goes down; for node-agent-guard.service alone
    #[command(hide = true)]
    ShutdownGuard,
    /// Is no maintenance under way? yes 0, no 1; for package scripts
    #[command(hide = true)]
    Idle,
}

#[derive(Debug, Subcommand)]
pub(super) enum LeaseVerb {
    /// Free the slot of a node whose agent is stopped for good; one at a time
    Break {
        /// The instance id
        id: String,
    },
    /// Remove the mark of a failed maintenance, or of a break
    Clear {
        /// The instance id
        id: String,
    },
    /// Remove the leases of terminated instances; without ids, say how to find them
    Gc {
        /// Their instance ids
        ids: Vec<String>,
        /// Ask EC2 which instances are terminated, with `aws ec2 describe-instances`
        #[arg(long, conflicts_with = "ids")]
        ask_ec2: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct MaintainArgs {
    /// Reboot: always, or if the command (exit code 194) or the system asks for it
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "always", default_value = "never")]
    pub(super) reboot: RebootWhen,
    /// Give up if the node has not left service by then: a UTC time such as 2026-11-24T04:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(super) not_after: Option<Timestamp>,
    /// Only say what would be done, and whether it could begin now
    #[arg(long)]
    pub(super) dry_run: bool,
    /// The command to run while the node is out, after `--`
    #[arg(last = true)]
    pub(super) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct DrainArgs {
    /// Give up if the node has not left service by then: a UTC time such as 2026-11-24T04:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(super) not_after: Option<Timestamp>,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Ask instead whether `maintain` could take this node out now
    #[arg(long)]
    pub(super) start: bool,
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
}
