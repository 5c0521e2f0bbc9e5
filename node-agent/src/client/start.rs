//! Starts the driver as a process of its own, which outlives the process that asked for a maintenance.

use crate::machine::program::{self, shown};
use crate::settings::Settings;
use std::path::Path;
use std::time::Duration;

/// The unit that the packages install.
const UNIT: &str = "node-agent.service";
/// Where systemd looks for units.
const UNIT_DIRS: [&str; 3] = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// systemd answers in milliseconds. A machine in trouble must not block the SSM agent forever.
const LIMIT: Duration = Duration::from_secs(30);

/// The command that starts the driver, if one is installed.
pub(crate) fn command(settings: &Settings) -> Option<Vec<String>> {
    match &settings.start_driver {
        Some(argv) => Some(argv.clone()).filter(|argv| !argv.is_empty()),
        None => is_installed(settings).then(|| ["systemctl", "start", UNIT].map(str::to_owned).to_vec()),
    }
}

/// Whether the unit exists, systemd runs, and the unit's driver uses the same record.
fn is_installed(settings: &Settings) -> bool {
    let unit = || UNIT_DIRS.iter().any(|dir| Path::new(dir).join(UNIT).exists());
    settings.state_dir == Settings::default().state_dir && Path::new("/run/systemd/system").exists() && unit()
}

/// Starts the driver, unless it is running. The error says what failed and why.
pub(crate) async fn start(argv: &[String]) -> Result<(), String> {
    let started = program::succeeds(argv, "", LIMIT).await;
    started.map_err(|cause| format!("failed to start the driver with `{}`: {cause}", shown(argv)))
}
