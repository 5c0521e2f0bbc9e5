//! What becomes of requests: damaged ones, forgotten ones, and those for somebody else.

use crate::estate::until;
use crate::machine::{Machine, machine};
use node_agent::record::journal;
use node_agent::record::mailbox::{Ask, Requests};
use node_agent::record::phase::Phase;
use node_agent::record::{Request, Verdict};
use node_agent::settings::Settings;
use std::path::{Path, PathBuf};
use std::process::Stdio;

fn state(machine: &Machine) -> PathBuf {
    machine.estate.dir.path().join("state")
}

/// Files in which somebody asks for something.
fn left(state: &Path) -> usize {
    let files = std::fs::read_dir(state.join("requests")).unwrap();
    files.flatten().filter(|file| file.file_name().to_string_lossy().starts_with("ask-")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_request_is_dropped_and_the_maintenance_goes_on() {
    let machine = machine().await;
    let args: Vec<_> =
        ["maintain", "--"].map(str::to_owned).into_iter().chain(machine.counting("1")).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let mut run = machine.command(&args).stdout(Stdio::null()).spawn().unwrap();
    machine.until_at(Phase::RunCommand).await;
    for (name, text) in [("ask-begin-half.json", "{\"begin\":{\"id\""), ("ask-shutdown.json", "\"shutdown\"")]
    {
        std::fs::write(state(&machine).join("requests").join(name), text).unwrap();
    }
    assert_eq!(run.wait().await.unwrap().code(), Some(0), "{}", machine.log());
    assert_eq!(machine.finished()[0].verdict, Verdict::Succeeded);
    assert_eq!(left(&state(&machine)), 0);
    assert_eq!(machine.log().matches("failed to read the request").count(), 2, "{}", machine.log());
    machine.assert_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_waits_for_takes_nobody_out() {
    let machine = machine().await;
    // Whoever left it was killed before a driver had it.
    let request = Request { command: machine.counting("0"), ..Request::new("1".into(), Settings::default()) };
    Requests::beside(&state(&machine)).leave(&Ask::Begin(Box::new(request))).unwrap();
    machine.start_unit().await;
    until(|| left(&state(&machine)) == 0 && !journal::is_driven(&state(&machine))).await;
    assert!(
        machine.log().contains("dropped request 1: no process waits for it any more"),
        "{}",
        machine.log()
    );
    assert_eq!((machine.runs(), machine.finished().len()), (0, 0));
    machine.estate.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_another_instance_is_refused() {
    let machine = machine().await;
    let run = machine.agent(&["--instance-id", "i-0b000000000000009", "maintain", "--", "true"]).await;
    run.says(2, &["the request is for i-0b000000000000009", "and this node is i-", "correct --instance-id"]);
    machine.estate.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_left_is_named() {
    let machine = machine().await;
    std::fs::create_dir_all(state(&machine)).unwrap();
    std::fs::write(state(&machine).join("requests"), "").unwrap();
    let run = machine.agent(&["maintain", "--", "true"]).await;
    run.says(75, &["failed to ask the driver in", "free or repair the disk; nothing was started"]);
    machine.estate.is_untouched();
}
