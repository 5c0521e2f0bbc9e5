//! Real processes: how they end, and what they leave behind.

use super::*;
use tokio::time::Instant;

fn linux() -> Linux {
    Linux {
        boot_id_path: "/proc/sys/kernel/random/boot_id".into(),
        reboot_command: vec!["true".into()],
        reboot_required_command: Vec::new(),
    }
}

fn sh(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_command_ends_with_its_code_or_signal() {
    let run = async |script| linux().run(&sh(script), None, LONG, LONG, Stop::new()).await.unwrap().how;
    assert_eq!(run("exit 7").await, CommandEnd::Exited(7));
    assert_eq!(run("kill -9 $$").await, CommandEnd::Killed(9));
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_named() {
    let missing = vec!["/nonexistent/patch".to_owned()];
    let error = linux().run(&missing, None, LONG, LONG, Stop::new()).await.unwrap_err();
    assert!(error.to_string().starts_with("failed to run `/nonexistent/patch`: "), "{error}");
}

/// Runs a script, asks it to stop once it has made the file that `$0` names, and returns what is in that file then.
async fn stopped(script: &str, grace: Duration) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("mark");
    let stop = Stop::new();
    let ask = stop.clone();
    let mut argv = sh(script);
    argv.push(mark.display().to_string());
    let running = tokio::spawn(async move { linux().run(&argv, None, LONG, grace, stop).await });
    while !mark.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    ask.cancel();
    assert_eq!(running.await.unwrap().unwrap().how, CommandEnd::Stopped);
    std::fs::read_to_string(mark).unwrap()
}

/// A killed process is gone, or a zombie until it is reaped.
async fn until_gone(process: &str) {
    let stat = format!("/proc/{}/stat", process.trim());
    let asked = Instant::now();
    while std::fs::read_to_string(&stat).is_ok_and(|text| !text.contains(") Z ")) {
        assert!(asked.elapsed() < LONG, "process {process} is still running");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A child that ignores SIGTERM and names itself in the mark.
const STUBBORN_CHILD: &str = r#"sh -c 'trap "" TERM; echo $$ >$0.new; mv $0.new $0; sleep 300' "$0" & wait"#;

#[tokio::test]
async fn a_stopped_command_takes_its_children_with_it() {
    let child = stopped(&format!("trap '' TERM; {STUBBORN_CHILD}"), Duration::from_millis(100)).await;
    until_gone(&child).await;
}

#[tokio::test]
async fn a_command_that_ends_at_sigterm_leaves_no_children_behind() {
    let child = stopped(&format!("trap 'exit 0' TERM; {STUBBORN_CHILD}"), Duration::from_millis(100)).await;
    until_gone(&child).await;
}

#[tokio::test]
async fn a_stopped_command_has_a_grace_period_to_clean_up() {
    let script = "trap 'echo cleaned >$0; exit 0' TERM; touch $0; while :; do sleep 0.01; done";
    assert_eq!(stopped(script, LONG).await, "cleaned\n");
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_stopped() {
    let end = linux().run(&sh("sleep 60"), None, Duration::from_millis(50), LONG, Stop::new()).await.unwrap();
    assert_eq!(end.how, CommandEnd::TimedOut);
}

async fn asked_to_reboot(script: &str, limit: Duration) -> Result<(), String> {
    ask_to_reboot(&sh(script), limit).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_reboot_command_ended_by_the_shutdown_succeeds_and_one_that_exits_with_an_error_fails() {
    assert_eq!(asked_to_reboot("exit 0", LONG).await, Ok(()));
    assert_eq!(asked_to_reboot("kill -TERM $$", LONG).await, Ok(()));
    let failed = asked_to_reboot("exit 1", LONG).await.unwrap_err();
    assert_eq!(failed, "failed to reboot with `sh`: exit status: 1");
}

#[tokio::test]
async fn a_reboot_command_that_does_not_end_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let gate = dir.path().join("gate");
    assert!(std::process::Command::new("mkfifo").arg(&gate).status().unwrap().success());
    // It ends when the gate is opened from here.
    let script = format!("read line <{}", gate.display());
    assert_eq!(asked_to_reboot(&script, Duration::from_millis(50)).await, Ok(()));
    std::fs::write(gate, "go\n").unwrap();
}

#[tokio::test]
async fn a_notify_command_that_takes_too_long_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let told = dir.path().join("told");
    let tee = ["tee".to_owned(), told.display().to_string()];
    linux().tell(&tee, "a message", LONG).await.unwrap();
    assert_eq!(std::fs::read_to_string(told).unwrap(), "a message");
    let failed = linux().tell(&sh("exit 7"), "", LONG).await.unwrap_err().to_string();
    assert!(failed.starts_with("failed to notify with `sh`: exit status: 7"), "{failed}");
    let stopped = linux().tell(&sh("sleep 60"), "", Duration::from_millis(50)).await.unwrap_err().to_string();
    assert!(stopped.contains("timed out after"), "{stopped}");
}

#[test]
fn the_boot_id_is_read_without_its_line_end() {
    let id = linux().boot_id().unwrap();
    assert_eq!(id.len(), 36);
    assert!(linux().uptime() > Duration::ZERO);
}
