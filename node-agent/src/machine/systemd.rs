//! Asks systemd whether the machine is going down, how, and when it will.

use crate::machine::program;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// How the machine is going down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoingDown {
    /// It will be back soon.
    Reboot,
    /// It may never come back.
    PowerOff,
}

/// How many times to run `systemctl` when a signal ends it. When a unit is stopped, systemd also signals the processes that
/// the unit has just started, but only once, so the next attempt survives.
const ASKED: usize = 10;
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// systemd answers in milliseconds. A second signal is handled only after the answer.
const LIMIT: Duration = Duration::from_secs(30);

/// How the machine is going down; `None` when it is not, or when there is no systemd.
pub async fn going_down() -> Option<GoingDown> {
    // The exit code is the same for several states; only the word tells them apart.
    let state = ask(&["systemctl", "is-system-running"]).await?;
    if state.trim() != "stopping" {
        return None;
    }
    let jobs = ask(&["systemctl", "list-jobs", "--plain", "--no-legend"]).await;
    Some(which_way(&jobs.unwrap_or_default()))
}

/// The output of a program, with any exit code; `None`: it cannot be started, or does not end.
async fn ask(argv: &[&str]) -> Option<String> {
    for _ in 0..ASKED {
        let mut command = program::command(argv);
        let asked =
            program::run(command.stdout(Stdio::piped()).stderr(Stdio::null()), "", LIMIT).await.ok()?;
        if asked.status.code().is_some() {
            return Some(String::from_utf8_lossy(&asked.stdout).into_owned());
        }
        tokio::time::sleep(ASK_AGAIN_AFTER).await;
    }
    None
}

/// Whether systemd runs this machine (sd_booted(3)).
pub(crate) fn is_running() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// The command in a scope: a control group of its own, beside the unit that starts it. The command stays our child.
pub(crate) fn in_scope(scope: &str, argv: &[String]) -> Vec<String> {
    let before = ["systemd-run", "--scope", "--quiet", "--unit", scope, "--"].map(str::to_owned);
    before.into_iter().chain(argv.iter().cloned()).collect()
}

/// systemd sends SIGTERM, and SIGKILL after `DefaultTimeoutStopSec=`, 90 s unless it was changed.
const STOP_LIMIT: Duration = Duration::from_secs(120);
/// The exit code of `systemctl` for a unit that does not exist (any more).
const NOT_LOADED: i32 = 5;

/// Stops everything that runs in a scope. A failure is only logged: there is nothing else to try.
pub(crate) async fn end_scope(scope: &str) {
    if !is_running() {
        return;
    }
    let mut command = program::command(&["systemctl", "stop", scope]);
    let ended = program::run(command.stdout(Stdio::null()).stderr(Stdio::null()), "", STOP_LIMIT).await;
    match ended.map(|ended| ended.status) {
        Ok(status) if status.success() || status.code() == Some(NOT_LOADED) => (),
        Ok(status) => {
            tracing::warn!("failed to stop {scope}: {status}; `systemctl status {scope}` shows what runs");
        }
        Err(cause) => {
            tracing::warn!("failed to stop {scope}: {cause}; `systemctl status {scope}` shows what runs");
        }
    }
}

/// Where logind keeps what `shutdown` has scheduled.
const SCHEDULE: &str = "/run/systemd/shutdown/scheduled";

/// When the machine is to go down, if that is scheduled.
pub fn scheduled_shutdown() -> Option<Timestamp> {
    scheduled_in(&std::fs::read_to_string(SCHEDULE).ok()?)
}

/// Reads `USEC=` (microseconds since 1970) unless `MODE=` says that it is a drill (`shutdown -k`).
fn scheduled_in(schedule: &str) -> Option<Timestamp> {
    let field = |name: &str| schedule.lines().find_map(|line| line.strip_prefix(name));
    if field("MODE=").is_none_or(|mode| mode.starts_with("dry-")) {
        return None;
    }
    Timestamp::from_microsecond(field("USEC=")?.trim().parse().ok()?).ok()
}

/// Decides from systemd's jobs. Anything that is not a kind of reboot counts as power-off.
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

    #[test]
    fn a_scheduled_shutdown_is_read_and_a_drill_is_not() {
        let scheduled = |mode| {
            let text = format!("USEC=1795680000000000\nWARN_WALL=1\nMODE={mode}\nUID=0\nTTY=pts/0\n");
            scheduled_in(&text).map(|at| at.to_string())
        };
        for mode in ["reboot", "poweroff", "halt", "kexec"] {
            assert_eq!(scheduled(mode).as_deref(), Some("2026-11-26T08:00:00Z"), "{mode}");
        }
        assert_eq!(scheduled("dry-reboot"), None);
        for damaged in
            ["", "MODE=reboot", "USEC=1795680000000000", "USEC=x\nMODE=reboot", "USEC=-\nMODE=reboot"]
        {
            assert_eq!(scheduled_in(damaged), None, "{damaged}");
        }
    }

    #[tokio::test]
    async fn a_query_that_a_signal_ends_is_repeated_and_a_missing_program_is_not() {
        let dir = tempfile::tempdir().unwrap();
        // Each script notes that it was asked.
        let asked = async |name: &str, script: &str| {
            let notes = dir.path().join(name).display().to_string();
            let said = ask(&["sh", "-c", &format!("echo asked >>$0; {script}"), &notes]).await;
            (said, std::fs::read_to_string(notes).unwrap().lines().count())
        };
        assert_eq!(asked("once", "echo stopping; exit 1").await, (Some("stopping\n".to_owned()), 1));
        let second = asked("second", "[ $(wc -l <$0) = 2 ] || kill -TERM $$; echo stopping").await;
        assert_eq!(second, (Some("stopping\n".to_owned()), 2));
        assert_eq!(asked("never", "kill -TERM $$").await, (None, ASKED));
        assert_eq!(ask(&["/nonexistent/systemctl"]).await, None);
    }
}
