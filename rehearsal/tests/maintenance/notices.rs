//! What people are told, and that it is the first thing that went wrong.

use crate::fleet::{Builder, finished, fleet, logged};
use node_agent::maintenance::context::End;
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

fn told() -> Builder {
    fleet().settings(|s| s.notify_command = vec!["tell".into()])
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn people_are_told_once_of_a_maintenance_that_failed() {
    let fleet = told().start().await;
    let node = &fleet.nodes[0];
    *node.machine.command.lock().unwrap() = (Duration::from_secs(5), 3);
    assert_eq!(node.finish(node.run(&["patch"])).await.verdict, Verdict::FailedButRestored);
    let told = node.machine.notified.lock().unwrap().clone();
    assert_eq!(told.len(), 1, "{told:?}");
    let said: serde_json::Value = serde_json::from_str(&told[0]).unwrap();
    assert_eq!(
        (&said["event"], &said["instance_id"]),
        (&"failed".into(), &node.identity.instance_id.clone().into())
    );
    assert!(said["reason"].as_str().unwrap().contains("exited with 3"), "{said}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn nobody_is_told_of_a_success_or_when_nothing_was_changed() {
    let fleet = told().start().await;
    let node = &fleet.nodes[0];
    assert_eq!(node.finish(node.run(&["patch"])).await.verdict, Verdict::Succeeded);
    fleet.alb.set_tag(&fleet.arn, "node-agent/paused", "release day");
    assert_eq!(node.finish(node.run(&["patch"])).await.verdict, Verdict::NothingChanged);
    assert!(node.machine.notified.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_first_thing_that_went_wrong_is_the_reason_in_the_end() {
    let fleet = told().start().await;
    let node = &fleet.nodes[0];
    *node.machine.command.lock().unwrap() = (Duration::from_secs(5), 3);
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    node.service.set(Some(503));
    let End::Halted(why) = running.await.unwrap() else { panic!("not halted") };
    assert!(why.contains("answered 503"), "what a person has to repair now: {why}");
    assert_eq!(node.machine.notified.lock().unwrap().len(), 1);
    node.service.set(Some(200));
    let ended = finished(node.resume().await);
    assert_eq!(ended.verdict, Verdict::FailedButRestored);
    assert_eq!(ended.reason.as_deref(), Some("run_command: the command exited with 3"));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_notify_command_that_hangs_has_thirty_seconds_and_changes_nothing() {
    let log = logged();
    let fleet = told().start().await;
    let node = &fleet.nodes[0];
    node.machine.nobody_is_told.store(true, Ordering::Relaxed);
    *node.machine.command.lock().unwrap() = (Duration::from_secs(5), 3);
    let began = Instant::now();
    let ended = node.finish(node.run(&["patch"])).await;
    let hung = began.elapsed();
    assert_eq!((ended.verdict, ended.exit_code), (Verdict::FailedButRestored, 1));
    log.says("failed to notify with `tell`: timed out after 30 s");

    node.machine.nobody_is_told.store(false, Ordering::Relaxed);
    let began = Instant::now();
    let again = node.finish(node.run(&["patch"])).await;
    assert_eq!((again.verdict, again.exit_code), (ended.verdict, ended.exit_code));
    let longer = hung.saturating_sub(began.elapsed());
    assert!((25..=35).contains(&longer.as_secs()), "{longer:?}");
}
