//! Notifies people that a node needs them, or that a maintenance failed.

use crate::machine::ports::Machine;
use crate::maintenance::context::Driver;
use crate::record::Operation;
use crate::settings::Settings;
use serde_json::json;
use std::time::Duration;

/// How long a notification may take.
const LIMIT: Duration = Duration::from_secs(30);

impl Driver {
    /// Runs `notify_command`, if it is set. A failure is only logged.
    pub(crate) async fn notify(&self, event: &str, reason: &str) {
        let settings = &self.operation.request.settings;
        let instance_id = Some(self.identity.instance_id.as_str());
        tell(self.machine.as_ref(), settings, event, instance_id, Some(&self.operation), reason).await;
    }
}

/// Runs `notify_command` for a driver that cannot go on. A failure is only logged.
pub(crate) async fn stuck(
    machine: &dyn Machine,
    settings: &Settings,
    instance_id: Option<&str>,
    operation: Option<&Operation>,
    reason: &str,
) {
    tell(machine, settings, "stuck", instance_id, operation, reason).await;
}

async fn tell(
    machine: &dyn Machine,
    settings: &Settings,
    event: &str,
    instance_id: Option<&str>,
    operation: Option<&Operation>,
    reason: &str,
) {
    let argv = &settings.notify_command;
    if argv.is_empty() {
        return;
    }
    // Without groups on record, those of the settings.
    let groups: Vec<_> = match operation.filter(|operation| !operation.groups.is_empty()) {
        Some(operation) => operation.groups.iter().map(|group| &group.name).collect(),
        None => settings.target_groups.iter().collect(),
    };
    let message = json!({
        "event": event,
        "instance_id": instance_id,
        "target_groups": groups,
        "operation": operation.map(|operation| &operation.request.id),
        "reason": reason,
        "began": operation.map(|operation| operation.began.utc),
        "at": machine.utc(),
    });
    match machine.tell(argv, &message.to_string(), LIMIT).await {
        Ok(()) => tracing::info!("notified people: {event}"),
        Err(error) => tracing::warn!("{error}; correct notify_command"),
    }
}
