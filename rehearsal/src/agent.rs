//! The agent of one node: its settings, its environment and its record.

use std::io;

use node_agent::record::phase::Phase;
use node_agent::record::{Finished, PhaseRun, Record};
use tokio::process::Command;

use crate::{clock::Clock, place::Place, process::this_program, report, summary::rounded};

/// The name of the target group.
pub(crate) const TARGET_GROUP: &str = "rehearsal";

/// Writes the settings file that `node-agent --config` reads.
///
/// The times are short, so that a rehearsal takes about a minute: the load balancer on loopback applies a deregistration
/// after one second instead of several, and a call of an agent that was killed takes effect at once or never.
pub(crate) fn write_settings(place: &Place) -> io::Result<()> {
    std::fs::write(settings_path(place), settings(place))
}

fn settings_path(place: &Place) -> std::path::PathBuf {
    place.directory.join("node-agent.toml")
}

fn settings(place: &Place) -> String {
    let in_flight_url = format!("http://{}/in-flight", place.service());
    format!(
        r#"target_groups = ["{TARGET_GROUP}"]
state_dir = {state_dir}
boot_id_path = {boot_id_path}
service_address = "{address}"
reboot_command = ["touch", {reboot_request}]
in_flight_url = "{in_flight_url}"
drain_floor = "3s"
quiet_period = "1s"
staleness = "100ms"
settle = "200ms"
quarantine = "6s"
lease_poll = "500ms"
health_interval = "300ms"
fleet_rate = 20.0
"#,
        state_dir = quoted(&place.state_dir()),
        boot_id_path = quoted(&place.boot_id_path()),
        address = place.address,
        reboot_request = quoted(&place.reboot_request_path()),
    )
}

/// A path as a TOML string. TOML understands JSON's escapes.
fn quoted(path: &std::path::Path) -> serde_json::Value {
    path.to_string_lossy().into()
}

/// `node-agent ARGS` on the node, in an environment without the user's AWS settings.
pub(crate) fn command(place: &Place, args: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(this_program()?);
    command.args(["node-agent".as_ref(), "--config".as_ref(), settings_path(place).as_os_str()]).args(args);
    command.env_clear();
    for kept in ["PATH", "RUST_LOG", "RUST_BACKTRACE"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command
        .env("HOME", &place.directory)
        .env("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", &place.api_url)
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &place.imds_url);
    Ok(command)
}

/// The node's record; `None` if it does not exist or cannot be read.
fn record(place: &Place) -> Option<Record> {
    node_agent::record::journal::read(&place.state_dir()).ok().flatten()
}

/// The phase of the node's maintenance; `None` without a maintenance.
pub(crate) fn phase(place: &Place) -> Option<Phase> {
    record(place)?.operation.map(|operation| operation.phase)
}

pub(crate) fn is_halted(place: &Place) -> bool {
    phase(place) == Some(Phase::Halted)
}

/// The agent's reason why the node's maintenance failed.
pub(crate) fn reason(place: &Place) -> Option<String> {
    let mut record = record(place)?;
    match record.operation {
        Some(operation) => operation.failure.map(|failure| failure.reason),
        None => record.finished.pop()?.reason,
    }
}

/// The phases of the node's maintenance, including one in progress.
pub(crate) fn phases(place: &Place, clock: Clock) -> Vec<report::Phase> {
    let runs = record(place).map(|mut record| match (record.operation, record.finished.pop()) {
        (Some(operation), _) => operation.history,
        (None, Some(Finished { phases, .. })) => phases,
        (None, None) => Vec::new(),
    });
    runs.unwrap_or_default().into_iter().map(|run| phase_report(&run, clock)).collect()
}

fn phase_report(run: &PhaseRun, clock: Clock) -> report::Phase {
    report::Phase {
        name: run.phase.to_string(),
        began_s: rounded(clock.at_utc(run.began)),
        seconds: rounded(run.seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_agent_accepts_the_settings() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place {
            name: "node-1".into(),
            instance_id: "i-0a00000000000001".into(),
            address: [127, 0, 0, 2].into(),
            port: 8080,
            directory: directory.path().join("a \"quoted\" directory"),
            api_url: String::new(),
            imds_url: String::new(),
        };
        std::fs::create_dir(&place.directory).unwrap();
        write_settings(&place).unwrap();
        let path = settings_path(&place);
        let loaded =
            node_agent::settings::Settings::load(Some(&path), &node_agent::settings::Flags::default())
                .unwrap();
        assert_eq!(loaded.target_groups, [TARGET_GROUP]);
        assert_eq!(loaded.state_dir, place.state_dir());
    }
}
