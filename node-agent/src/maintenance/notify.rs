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
        let argv = &self.operation.request.settings.notify_command;
        if argv.is_empty() {
            return;
        }
        let groups: Vec<_> = self.operation.groups.iter().map(|group| group.name.as_str()).collect();
        let message = json!({
            "event": event,
            "instance_id": self.identity.instance_id,
            "target_groups": groups,
            "operation": self.operation.request.id,
            "reason": reason,
            "began": self.operation.began.utc,
            "at": self.machine.utc(),
        });
        match self.machine.tell(argv, &message.to_string(), LIMIT).await {
            Ok(()) => tracing::info!("notified people: {event}"),
            Err(error) => tracing::warn!("{error}; correct notify_command"),
        }
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
    if settings.notify_command.is_empty() {
        return;
    }
    let message = json!({
        "event": "stuck",
        "instance_id": instance_id,
        "target_groups": settings.target_groups,
        "operation": operation.map(|operation| &operation.request.id),
        "reason": reason,
        "began": operation.map(|operation| operation.began.utc),
        "at": machine.utc(),
    });
    match machine.tell(&settings.notify_command, &message.to_string(), LIMIT).await {
        Ok(()) => tracing::info!("notified people: stuck"),
        Err(error) => tracing::warn!("{error}; correct notify_command"),
    }
}
