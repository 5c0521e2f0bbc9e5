//! The report, as it is written to `report.json`.

use std::{collections::BTreeMap, io, path::Path};

use serde::Serialize;

/// `report.json`
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Report {
    pub settings: Settings,
    /// Reboots without node-agent; absent if not played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub naive: Option<Scenario>,
    /// Reboots with node-agent; absent if not played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graceful: Option<Scenario>,
}

/// The settings of the rehearsal.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Settings {
    pub rps: u32,
    pub reboot_time_s: f64,
    pub nodes: u8,
}

/// A scenario, from its first request to its last.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Scenario {
    pub requests: u64,
    /// Requests that got no response, or a status other than 200.
    pub failed: u64,
    /// By status code, or by what the client got instead, such as `timed out`.
    pub failed_by_status: BTreeMap<String, u64>,
    /// The most nodes that were out of service at once, for the load balancer.
    pub max_nodes_out: usize,
    pub duration_s: f64,
    /// Milliseconds from the moment a request was due to the end of its response; without the requests that are slow on
    /// purpose and without failed ones.
    pub latency_ms: Latency,
    /// Requests that were sent. It equals `requests`, or the generator has lost some.
    pub sent: u64,
    /// The longest time between two requests that were sent, in seconds.
    pub longest_gap_s: f64,
    /// The fewest requests that were sent in one whole second, as a fraction of the rate.
    pub lowest_rate: f64,
    /// Requests, by the second in which they began.
    pub requests_per_second: Vec<u32>,
    /// Failed requests, by the second in which they began.
    pub failures_per_second: Vec<u32>,
    pub nodes: Vec<Node>,
}

/// Latencies, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Latency {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

/// A node of a scenario.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Node {
    pub name: String,
    pub instance_id: String,
    /// How long it was out of service, for the load balancer.
    pub out_of_rotation_s: f64,
    /// How long its service was down.
    pub service_down_s: f64,
    /// How long its service was down while the load balancer sent requests to it. Above that, requests were lost.
    pub down_in_rotation_s: f64,
    /// The agent's phases. Without an agent, only the reboot.
    pub phases: Vec<Phase>,
    /// The agent's exit code; null without an agent, or if it did not finish in time.
    pub exit_code: Option<u8>,
    /// Its boot id has changed.
    pub rebooted: bool,
    /// It is in service at the end.
    pub in_service: bool,
    /// Why its maintenance did not finish.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A phase of a node's maintenance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Phase {
    pub name: String,
    /// Seconds since the scenario began.
    pub began_s: f64,
    pub seconds: f64,
}

impl Report {
    /// The scenarios that were played, with their names, in order.
    pub(crate) fn scenarios(&self) -> impl Iterator<Item = (&'static str, &Scenario)> {
        [("naive", &self.naive), ("graceful", &self.graceful)]
            .into_iter()
            .filter_map(|(name, scenario)| scenario.as_ref().map(|scenario| (name, scenario)))
    }

    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, serde_json::to_string_pretty(self)? + "\n")
    }
}
