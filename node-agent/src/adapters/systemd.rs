//! What systemd knows: whether the machine is going down, and which way.

use crate::record::GoingDown;
use std::process::{Command, Stdio};

/// Which way the machine is going down; `None` when it is not, or when systemd cannot be asked.
///
/// Blocks for the few milliseconds that systemd takes to answer.
pub fn going_down() -> Option<GoingDown> {
    // Its exit code says "not running" in many states; only the word tells them apart.
    let state = systemctl(&["is-system-running"])?;
    if state.trim() != "stopping" {
        return None;
    }
    Some(which_way(&systemctl(&["list-jobs", "--plain", "--no-legend"]).unwrap_or_default()))
}

fn systemctl(arguments: &[&str]) -> Option<String> {
    let output =
        Command::new("systemctl").args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output();
    output.ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// From the jobs that systemd works on. What is neither a reboot nor like one may be the end of the machine.
fn which_way(jobs: &str) -> GoingDown {
    let starts = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let unit = words.next().unwrap_or_default();
        words.next() == Some("start")
            && ["reboot.target", "kexec.target", "soft-reboot.target"].contains(&unit)
    };
    if jobs.lines().any(starts) { GoingDown::Reboot } else { GoingDown::PowerOff }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jobs_tell_a_reboot_from_a_power_off() {
        let jobs = |target: &str| {
            format!(
                "173 node-agent-guard.service stop running\n121 {target} start waiting\n122 systemd-reboot.service start waiting\n"
            )
        };
        assert_eq!(which_way(&jobs("reboot.target")), GoingDown::Reboot);
        assert_eq!(which_way(&jobs("kexec.target")), GoingDown::Reboot);
        assert_eq!(which_way(&jobs("poweroff.target")), GoingDown::PowerOff);
        assert_eq!(which_way(&jobs("halt.target")), GoingDown::PowerOff);
        assert_eq!(which_way(""), GoingDown::PowerOff);
    }
}
