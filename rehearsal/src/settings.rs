//! What to play, and how: the arguments.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum, value_parser};

/// Reboots every node of a small fleet behind a load balancer under load, and counts the requests that fail.
///
/// Everything runs on this machine: a load balancer, nodes with a service and an agent each, and a load generator.
/// The report, the chart and all logs are written to the directory given with --directory.
///
/// Exit codes: 0 every promise was kept, 1 a promise was broken or the rehearsal itself failed, 2 wrong usage,
/// 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "rehearsal", version)]
pub(crate) struct Settings {
    /// What to play
    #[arg(value_enum, default_value_t = Play::Compare)]
    pub play: Play,

    /// Requests per second
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u32).range(1..=5_000))]
    pub rps: u32,

    /// Seconds from a node's last sign of life to the start of its service
    #[arg(long, default_value_t = 4, value_name = "SECONDS", value_parser = value_parser!(u32).range(0..=600))]
    reboot_time: u32,

    /// Number of nodes; with one alone nobody could stand in for it
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u8).range(2..=9))]
    pub nodes: u8,

    /// Where the report, the chart, the logs and the state of the nodes go; what an earlier rehearsal left there is
    /// replaced
    #[arg(long, default_value = "target/rehearsal", value_name = "PATH")]
    pub directory: PathBuf,
}

impl Settings {
    pub(crate) fn reboot_time(&self) -> Duration {
        Duration::from_secs(u64::from(self.reboot_time))
    }
}

/// What can be played.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Play {
    /// Both, one after the other, side by side
    Compare,
    /// Reboot each node in turn without telling the load balancer
    Naive,
    /// `node-agent maintain --reboot` on all nodes at once
    Graceful,
}
