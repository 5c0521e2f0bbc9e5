//! What a person at a terminal may rely on.

use crate::estate::{Estate, NODE, falls_sick, serve, until};
use crate::machine::{machine, machine_with, signal};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use node_agent::record::mailbox::{Ask, Requests};
use node_agent::record::phase::Phase;
use node_agent::record::{TurnedBack, Verdict};
use rustix::process::Signal;
use std::process::Stdio;
use tokio::process::Child;

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_maintenance_prints_its_phases_and_its_verdict() {
    let machine = machine().await;
    let run = machine.agent(&["maintain", "--", "true"]).await;
    run.says(0, &["run_command", "release_lease", "succeeded"]);
    machine.assert_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn drained_the_driver_stays_until_rejoin() {
    let machine = machine().await;
    machine.agent(&["drain"]).await.says(0, &["drained: out of service until `node-agent rejoin`"]);
    assert_eq!(machine.estate.alb.instances_out(&machine.estate.arn), 1);
    machine.agent(&["status"]).await.says(0, &["phase     drained"]);
    machine.agent(&["drain"]).await.says(0, &["nothing to do: drained: out of service"]);
    machine.agent(&["resume"]).await.says(0, &["drained: out of service"]);
    machine.agent(&["maintain", "--reboot"]).await.says(75, &["is drained; run `node-agent rejoin` first"]);
    machine.agent(&["rejoin"]).await.says(0, &["succeeded"]);
    machine.assert_restored();
    machine.agent(&["rejoin"]).await.says(0, &["nothing to do: no maintenance"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_rejoin_turns_back_has_failed_and_the_rejoin_has_not() {
    let slow = |estate: Estate| estate.configured_instead("drain_floor = \"500ms\"", "drain_floor = \"60s\"");
    let machine = machine_with(slow).await;
    let mut drain = machine.command(&["drain"]).stdout(Stdio::null()).spawn().unwrap();
    machine.until_at(Phase::Drain).await;
    machine.agent(&["rejoin"]).await.says(0, &["drain: rejoin requested before the node had drained"]);
    assert_eq!(drain.wait().await.unwrap().code(), Some(1), "{}", machine.log());
    assert_eq!(machine.finished()[0].turned_back, Some(TurnedBack::WantedBack));
    machine.assert_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn drained_it_stays_out_through_a_reboot() {
    // The boot is played, and what has passed since then is told by the clock of this machine.
    let machine = machine_with(|estate| estate.configured("drained_limit = \"8760h\"")).await;
    machine.agent(&["drain"]).await.says(0, &["drained"]);
    machine.reboot().await;
    until(|| machine.log().matches("drained: waiting for a request to continue").count() == 2).await;
    assert_eq!((machine.phase(), machine.finished().len()), (Some(Phase::Drained), 0));
    assert_eq!(machine.estate.alb.instances_out(&machine.estate.arn), 1);
    machine.agent(&["rejoin"]).await.says(0, &["succeeded"]);
    machine.assert_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_whose_configuration_was_broken_while_out_goes_on_from_the_record() {
    let machine = machine_with(|estate| estate.configured("drained_limit = \"8760h\"")).await;
    machine.agent(&["drain"]).await.says(0, &["drained"]);
    let file = machine.file("config.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}drain_flor = \"9s\"\n")).unwrap();
    machine.reboot().await;
    until(|| machine.log().matches("drained: waiting for a request to continue").count() == 2).await;
    assert!(machine.log().contains("unknown field `drain_flor`"), "{}", machine.log());
    machine.agent(&["rejoin"]).await.says(0, &["unknown field `drain_flor`", "succeeded"]);
    machine.assert_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn halted_the_driver_stays_and_resume_has_it_look_again() {
    let (url, _) = falls_sick().await;
    let machine = machine_with(|estate| {
        let told = estate.dir.path().join("told");
        estate.configured(&format!(
            "notify_command = [\"tee\", {told:?}]\nhealth_limit = \"1s\"\nhealth_url = {url:?}"
        ))
    })
    .await;
    machine
        .agent(&["maintain", "--", "true"])
        .await
        .says(3, &["halted", "gave up after 1s", "node-agent resume"]);
    // The halt is on record first; then the tag says so, and people are told.
    until(|| machine.estate.lease_of(1).is_some_and(|lease| lease.contains("p=halted"))).await;
    let told = || std::fs::read_to_string(machine.estate.dir.path().join("told")).unwrap_or_default();
    until(|| told().contains("\"event\":\"halted\"") && told().contains("gave up after 1s")).await;
    // Nothing was repaired: it looks again, and says so again.
    machine.agent(&["resume"]).await.says(3, &["halted", "gave up after 1s"]);
    assert_eq!(machine.estate.alb.instances_out(&machine.estate.arn), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_at_the_terminal_the_command_is_stopped_and_the_node_comes_back() {
    let machine = machine().await;
    let mut run = machine.command(&["maintain", "--", "sleep", "60"]).stdout(Stdio::null()).spawn().unwrap();
    machine.until_at(Phase::RunCommand).await;
    signal(&run, Signal::INT);
    assert_eq!(run.wait().await.unwrap().code(), Some(1), "{}", machine.log());
    assert!(machine.finished()[0].reason.as_ref().unwrap().contains("was stopped"));
    assert_eq!(machine.estate.alb.instances_out(&machine.estate.arn), 0);
}

/// Whether a process would hear this signal instead of ending by it.
fn catches(child: &Child, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id().unwrap())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    caught & (1 << (signal.as_raw() - 1)) != 0
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_while_the_driver_finds_out_who_it_is_nothing_is_begun() {
    let mut machine = machine().await;
    let (start, late) = (machine.file("start"), machine.file("late"));
    // From when the driver is started on, the metadata service is late.
    let script = std::fs::read_to_string(&start).unwrap();
    std::fs::write(&start, format!("touch {}\n{script}", late.display())).unwrap();
    let gate = late.clone();
    let in_time = move |request: Request, next: Next| {
        let late = gate.exists();
        async move { if late { StatusCode::SERVICE_UNAVAILABLE.into_response() } else { next.run(request).await } }
    };
    let metadata = serve(machine.estate.alb.aws().instance_metadata(NODE).layer(from_fn(in_time))).await;
    machine.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata);
    let mut command = machine.command(&["maintain", "--", "true"]);
    let run = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    until(|| late.exists() && catches(&run, Signal::INT)).await;
    signal(&run, Signal::INT);
    until(|| Requests::beside(&machine.file("state")).is_left(&Ask::Stop)).await;
    std::fs::remove_file(&late).unwrap();
    let ended = run.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(75), "{said}{}", machine.log());
    assert!(said.contains("stop requested before anything was started"), "{said}");
    assert_eq!(machine.finished(), []);
    machine.estate.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_is_killed_is_started_again_and_the_follower_hears_the_end() {
    let machine = machine().await;
    let args: Vec<_> =
        ["maintain", "--"].map(str::to_owned).into_iter().chain(machine.counting("60")).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let mut run = machine.command(&args).stdout(Stdio::null()).spawn().unwrap();
    until(|| machine.runs() == 1).await;
    machine.kill_driver();
    assert_eq!(run.wait().await.unwrap().code(), Some(1), "{}", machine.log());
    let finished = &machine.finished()[0];
    assert_eq!(finished.verdict, Verdict::FailedButRestored);
    assert!(finished.reason.as_ref().unwrap().contains("it is not run again"), "{finished:?}");
    assert_eq!(machine.runs(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_cannot_be_started_is_named() {
    let machine = machine_with(|estate| {
        let start = estate.dir.path().join("start");
        estate.configured_instead(&format!("{start:?}"), "\"/nonexistent/start\"")
    })
    .await;
    let run = machine.agent(&["maintain", "--", "true"]).await;
    run.says(
        75,
        &[
            "failed to start the driver with `sh /nonexistent/start`",
            "journalctl -u node-agent",
            "nothing was started",
        ],
    );
    machine.estate.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_is_over_takes_nobody_out() {
    let machine = machine().await;
    let run = machine.agent(&["maintain", "--not-after", "2026-01-01T00:00:00Z", "--", "true"]).await;
    run.says(75, &["the time given by --not-after has passed", "nothing changed"]);
    machine.assert_restored();
}
