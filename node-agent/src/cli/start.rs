//! The driver as a process of its own: it outlives whoever asked for a maintenance.

use crate::settings::Settings;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// The unit that the packages install.
const UNIT: &str = "node-agent.service";
/// Where units are.
const UNIT_DIRS: [&str; 3] = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// systemd answers in milliseconds; a machine in trouble must not keep the SSM agent waiting for ever.
const LIMIT: Duration = Duration::from_secs(30);

/// What starts the driver, where one is installed.
pub(super) fn command(settings: &Settings) -> Option<Vec<String>> {
    match &settings.start_driver {
        Some(argv) => Some(argv.clone()).filter(|argv| !argv.is_empty()),
        None => is_installed(settings).then(|| ["systemctl", "start", UNIT].map(str::to_owned).to_vec()),
    }
}

/// The unit is here, systemd runs, and the unit's driver would look where we look.
fn is_installed(settings: &Settings) -> bool {
    let unit = || UNIT_DIRS.iter().any(|dir| Path::new(dir).join(UNIT).exists());
    settings.state_dir == Settings::default().state_dir && Path::new("/run/systemd/system").exists() && unit()
}

/// Starts it, unless it runs. The error says what failed and why.
pub(super) async fn start(argv: &[String]) -> Result<(), String> {
    let failed = |cause: String| format!("failed to start the driver with `{}`: {cause}", argv.join(" "));
    let Some((program, arguments)) = argv.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    let started =
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).status();
    match tokio::time::timeout(LIMIT, started).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(failed(status.to_string())),
        Ok(Err(cause)) => Err(failed(cause.to_string())),
        Err(_) => Err(failed(format!("no answer within {} s", LIMIT.as_secs()))),
    }
}
