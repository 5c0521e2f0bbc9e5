//! What a scenario found out, as it is written to `report.json`.

use std::{collections::BTreeMap, io, path::Path};

use serde::Serialize;

/// `report.json`
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Report {
    pub settings: Settings,
    /// The careless way; absent when it was not played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub naive: Option<Scenario>,
    /// With node-agent; absent when it was not played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graceful: Option<Scenario>,
}

/// What the rehearsal was asked for.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Settings {
    pub rps: u32,
    pub reboot_time_s: f64,
    pub nodes: u8,
}

/// One scenario from its first request to its last.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Scenario {
    pub requests: u64,
    /// Requests answered with anything but 200, or not answered.
    pub failed: u64,
    /// Keys are status codes, or what kept the client from getting one, such as `timed out`.
    pub failed_by_status: BTreeMap<String, u64>,
    /// The most nodes that the load balancer had out of service at one moment.
    pub max_nodes_out: usize,
    pub duration_s: f64,
    /// By the second in which they began.
    pub requests_per_second: Vec<u32>,
    /// By the second in which they began; part of the requests.
    pub failures_per_second: Vec<u32>,
    pub nodes: Vec<Node>,
}

/// One node of a scenario.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Node {
    pub name: String,
    pub instance_id: String,
    /// How long the load balancer had it out of service.
    pub out_of_rotation_s: f64,
    /// How long its service answered nobody. Longer than it was out of rotation means that requests were lost.
    pub service_down_s: f64,
    /// What the agent did; without an agent, the reboot alone.
    pub phases: Vec<Phase>,
    /// The agent's; null without an agent, or when it had not finished in time.
    pub exit_code: Option<u8>,
    /// It has another boot id than at the beginning.
    pub rebooted: bool,
    /// The load balancer has it in service at the end.
    pub in_service: bool,
    /// What kept its maintenance from finishing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// One phase of a node's maintenance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Phase {
    pub name: String,
    /// Seconds since the scenario began.
    pub began_s: f64,
    pub seconds: f64,
}

impl Report {
    /// The scenarios that were played, with their names, in playing order.
    pub(crate) fn scenarios(&self) -> impl Iterator<Item = (&'static str, &Scenario)> {
        [("naive", &self.naive), ("graceful", &self.graceful)]
            .into_iter()
            .filter_map(|(name, scenario)| scenario.as_ref().map(|scenario| (name, scenario)))
    }

    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, serde_json::to_string_pretty(self)? + "\n")
    }
}
