//! Two people ask for the same maintenance: the second joins the first, and neither ends what the other waits for.

use crate::machine::{Machine, machine};
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;
use rustix::process::{Pid, Signal, kill_process};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Child;

/// Asks for a command of this many seconds, and does not wait for it.
fn asks(machine: &Machine, seconds: &str, options: &[&str]) -> Child {
    let command = machine.counting(seconds);
    let mut args = vec!["maintain"];
    args.extend(options);
    args.push("--");
    args.extend(command.iter().map(String::as_str));
    machine.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn press_ctrl_c(child: &Child) {
    let id = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(id, Signal::INT).unwrap();
}

/// The exit code, and what was written on standard error.
async fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().await.unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// The second has joined once the record has its id.
async fn until_joined(machine: &Machine) {
    crate::estate::until(|| machine.operation().is_some_and(|operation| operation.also.len() == 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_in_one_that_joined_leaves_the_other_what_it_waits_for() {
    let machine = machine().await;
    let first = asks(&machine, "4", &[]);
    machine.until_at(Phase::RunCommand).await;
    let mut second = asks(&machine, "4", &[]);
    let mut lines = BufReader::new(second.stderr.take().unwrap()).lines();
    while !lines.next_line().await.unwrap().unwrap().contains("joined the maintenance begun") {}
    press_ctrl_c(&second);
    assert_eq!(second.wait().await.unwrap().code(), Some(75));
    let mut text = String::new();
    lines.into_inner().read_to_string(&mut text).await.unwrap();
    assert!(text.contains("another process waits for it"), "{text}");
    let (code, text) = ended(first).await;
    assert_eq!(code, Some(0), "{text}");
    assert_eq!((machine.runs(), machine.finished()[0].verdict), (1, Verdict::Succeeded));
    machine.assert_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_maintenance_stops_when_the_last_that_waits_asks_for_it() {
    let machine = machine().await;
    let first = asks(&machine, "60", &[]);
    machine.until_at(Phase::RunCommand).await;
    let second = asks(&machine, "60", &[]);
    until_joined(&machine).await;
    press_ctrl_c(&first);
    assert_eq!(ended(first).await.0, Some(75));
    assert_eq!(machine.phase(), Some(Phase::RunCommand), "the second still waits");
    press_ctrl_c(&second);
    let (code, text) = ended(second).await;
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(machine.finished()[0].verdict, Verdict::FailedButRestored);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_with_a_window_does_not_join_one_that_may_leave_after_it() {
    let machine = machine().await;
    // Another node holds the slot, so the first waits for its lease.
    let key = "node-agent/lease/i-0a000000000000002";
    machine.estate.alb.set_tag(&machine.estate.arn, key, "v1 p=held e=1 k=1");
    let first = asks(&machine, "0", &[]);
    machine.until_at(Phase::AcquireLease).await;
    let (code, text) = ended(asks(&machine, "0", &["--not-after", "2099-01-01T00:00:00Z"])).await;
    assert_eq!(code, Some(75), "{text}");
    assert!(text.contains("wait until it is over"), "{text}");
    // One without limits of its own joins.
    let third = asks(&machine, "0", &[]);
    until_joined(&machine).await;
    machine.estate.alb.remove_tag(&machine.estate.arn, key);
    assert_eq!((ended(first).await.0, ended(third).await.0), (Some(0), Some(0)));
    assert_eq!(machine.runs(), 1);
    machine.assert_restored();
}
