//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum, value_parser};

/// Reboot every node of a small fleet under load, and count the requests that fail.
///
/// Everything runs on this machine: a load balancer, nodes with a service and an agent each, and a load generator.
/// The report, the chart and all logs are written to --directory.
///
/// Exit codes: 0 every promise was kept, 1 a promise was broken or the rehearsal itself failed, 2 wrong usage,
/// 75 the load stalled and the run proves nothing, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "rehearsal", version)]
pub(crate) struct Settings {
    /// Scenario to play
    #[arg(value_enum, default_value_t = Play::Compare)]
    pub play: Play,

    /// Requests per second
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u32).range(1..=5_000))]
    pub rps: u32,

    /// Duration of a reboot: from the end of a node's processes to the start of its service. A real one takes 30 s and more,
    /// and the naive way loses that much more: try 20
    #[arg(long, default_value_t = 4, value_name = "SECONDS", value_parser = value_parser!(u32).range(0..=600))]
    reboot_time: u32,

    /// Number of nodes, 2 to 9
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u8).range(2..=9))]
    pub nodes: u8,

    /// Directory for the report, the chart, the logs and the nodes' state; replaces those of an earlier rehearsal
    #[arg(long, default_value = "target/rehearsal", value_name = "PATH")]
    pub directory: PathBuf,
}

impl Settings {
    pub(crate) fn reboot_time(&self) -> Duration {
        Duration::from_secs(u64::from(self.reboot_time))
    }
}

/// The scenarios.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Play {
    /// Play both and compare them
    Compare,
    /// Reboot each node in turn without telling the load balancer
    Naive,
    /// Run `node-agent maintain --reboot` on all nodes at once
    Graceful,
}
