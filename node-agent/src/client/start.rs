//! The driver as a process of its own: it outlives whoever asked for a maintenance.

use crate::machine::program::{self, shown};
use crate::settings::Settings;
use std::path::Path;
use std::time::Duration;

/// The unit that the packages install.
const UNIT: &str = "node-agent.service";
/// Where units are.
const UNIT_DIRS: [&str; 3] = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// systemd answers in milliseconds; a machine in trouble must not keep the SSM agent waiting for ever.
const LIMIT: Duration = Duration::from_secs(30);

/// What starts the driver, where one is installed.
pub(crate) fn command(settings: &Settings) -> Option<Vec<String>> {
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
pub(crate) async fn start(argv: &[String]) -> Result<(), String> {
    let started = program::succeeds(argv, "", LIMIT).await;
    started.map_err(|cause| format!("failed to start the driver with `{}`: {cause}", shown(argv)))
}
