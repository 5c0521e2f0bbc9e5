//! While the node drains, while its command runs, and before a reboot.

use crate::fleet::{Node, PORT, finished, fleet, logged, seconds, until, within};
use crate::{NEW_PORT, driven, is_registered, register};
use node_agent::record::phase::{Outcome, Phase};
use node_agent::record::{RebootWhen, Request, Verdict};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;

/// A command that takes this long.
fn takes(node: &Node, seconds: u64) {
    *node.machine.command.lock().unwrap() = (Duration::from_secs(seconds), 0);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_new_port_is_seen_at_the_end_of_the_drain_and_drained_before_the_reboot() {
    let log = logged();
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.reboot(), Phase::Drain).await;
    register(&fleet, 0, NEW_PORT);
    until(|| node.machine.reboots.load(Ordering::Relaxed) == 1).await;
    assert_eq!(fleet.pairs(0), [(PORT, "unused".to_owned()), (NEW_PORT, "unused".to_owned())]);
    let done = finished(running.await.unwrap());
    assert_eq!(done.verdict, Verdict::Succeeded, "{done:?}");
    let drains = done.phases.iter().filter(|run| run.phase == Phase::Drain).map(|run| run.outcome);
    assert_eq!(drains.collect::<Vec<_>>(), [Outcome::Blocked, Outcome::Ok]);
    // It joined: the node comes back with both.
    assert_eq!(fleet.pairs(0), [(PORT, "healthy".to_owned()), (NEW_PORT, "healthy".to_owned())]);
    fleet.assert_restored();
    log.says("was registered in");
    log.says("meanwhile");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_registered_while_its_command_runs_leaves_beside_it_and_drains_before_the_reboot() {
    let log = logged();
    for port in [PORT, NEW_PORT] {
        let fleet = fleet().start().await;
        let node = &fleet.nodes[0];
        takes(node, 300);
        let running = node.begun(node.request(RebootWhen::Always, &["patch"]), Phase::RunCommand).await;
        sleep(Duration::from_secs(150)).await;
        register(&fleet, 0, port);
        let left_after = within(Duration::from_secs(130), || !is_registered(&fleet, 0, port)).await;
        assert!(node.phase() == Some(Phase::RunCommand), "the phase does not change");
        until(|| node.machine.reboots.load(Ordering::Relaxed) == 1).await;
        assert_eq!(fleet.state(&node.target_id, port), "unused", "after {left_after:?}");
        assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
        assert_eq!(*node.machine.ran.lock().unwrap(), ["patch"]);
        fleet.assert_restored();
    }
    log.says("deregistered again; the command goes on");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_command_that_ends_right_after_the_node_left_again_is_followed_by_a_drain() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    takes(node, 125);
    let running = node.begun(node.request(RebootWhen::Always, &["patch"]), Phase::RunCommand).await;
    sleep(Duration::from_secs(60)).await;
    register(&fleet, 0, NEW_PORT);
    until(|| node.machine.reboots.load(Ordering::Relaxed) == 1).await;
    assert_eq!(fleet.pairs(0), [(PORT, "unused".to_owned()), (NEW_PORT, "unused".to_owned())]);
    let done = finished(running.await.unwrap());
    let phases: Vec<_> = done.phases.iter().map(|run| run.phase).collect();
    let ran = phases.iter().position(|phase| *phase == Phase::RunCommand).unwrap();
    // The reboot ended with the machine.
    assert_eq!(phases[ran..ran + 3], [Phase::RunCommand, Phase::Drain, Phase::CheckHealth]);
    assert_eq!(node.machine.ran.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_fourth_time_beside_the_command_people_are_told_and_the_node_stays_registered() {
    let told = |s: &mut node_agent::settings::Settings| {
        s.notify_command = vec!["tell".into()];
        s.command_limit = seconds(3 * 3600);
    };
    let fleet = fleet().settings(told).start().await;
    let node = &fleet.nodes[0];
    takes(node, 7200);
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    for _ in 0..3 {
        register(&fleet, 0, NEW_PORT);
        within(Duration::from_secs(130), || !is_registered(&fleet, 0, NEW_PORT)).await;
    }
    register(&fleet, 0, NEW_PORT);
    until(|| !node.machine.notified.lock().unwrap().is_empty()).await;
    sleep(Duration::from_secs(1200)).await;
    assert!(is_registered(&fleet, 0, NEW_PORT));
    let told = node.machine.notified.lock().unwrap().clone();
    assert_eq!(told.len(), 1, "once an hour: {told:?}");
    assert!(told[0].contains("\"event\":\"registered\"") && told[0].contains("for the 4th time"), "{told:?}");
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(node.machine.notified.lock().unwrap().len(), 2);
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_whose_lease_was_broken_does_not_leave_again() {
    let fleet = fleet().settings(|s| s.notify_command = vec!["tell".into()]).start().await;
    let node = &fleet.nodes[0];
    takes(node, 600);
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    fleet.alb.set_tag(&fleet.arn, &fleet.lease_key(0), "v1 p=broken e=other");
    register(&fleet, 0, PORT);
    sleep(Duration::from_secs(300)).await;
    assert!(is_registered(&fleet, 0, PORT), "another node may have its slot");
    assert!(node.machine.notified.lock().unwrap()[0].contains("our lease is gone"));
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_second_request_for_a_reboot_looks_again() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    // The SSM agent is to reboot the machine, and does not.
    let request = Request { under_ssm: true, ..node.reboot() };
    let running = driven(node, request);
    until(|| node.operation().is_some_and(|operation| operation.reboot.is_some())).await;
    register(&fleet, 0, NEW_PORT);
    node.machine.down.notified().await;
    assert_eq!(fleet.pairs(0), [(PORT, "unused".to_owned()), (NEW_PORT, "unused".to_owned())]);
    running.abort();
    let _ = running.await;
    node.boot().await;
    assert_eq!(finished(node.resume().await).verdict, Verdict::Succeeded);
    assert_eq!(node.machine.reboots.load(Ordering::Relaxed), 1);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_command_that_was_cut_off_does_not_run_again_while_the_node_is_registered() {
    let fleet = fleet().settings(|s| s.rerun = true).start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    until(|| node.machine.ran.lock().unwrap().len() == 1).await;
    running.abort();
    let _ = running.await;
    register(&fleet, 0, NEW_PORT);
    let done = finished(node.restarted().drive().await.unwrap());
    assert_eq!(done.verdict, Verdict::FailedButRestored);
    assert!(done.reason.unwrap().contains("the command is not run again: "));
    assert_eq!(node.machine.ran.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_service_that_moved_to_another_port_comes_back_there_and_the_old_port_is_dropped() {
    let log = logged();
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    takes(node, 600);
    let running = node.begun(node.run(&["move"]), Phase::RunCommand).await;
    sleep(Duration::from_secs(10)).await;
    node.service.set_port(PORT, None);
    register(&fleet, 0, NEW_PORT);
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    assert_eq!(fleet.pairs(0), [(PORT, "unused".to_owned()), (NEW_PORT, "healthy".to_owned())]);
    assert_eq!(fleet.leases().len(), 0);
    log.says("does not answer, and another target of this node was registered meanwhile");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn without_a_newer_port_a_port_that_does_not_answer_halts_the_node() {
    let fleet = fleet().settings(|s| s.health_limit = seconds(60)).start().await;
    let node = &fleet.nodes[0];
    let running = driven(node, node.run(&["patch"]));
    until(|| node.phase() == Some(Phase::RunCommand)).await;
    node.service.set_port(PORT, None);
    until(|| node.phase() == Some(Phase::Halted)).await;
    running.abort();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_new_port_in_one_of_two_groups_is_seen_there_and_the_other_group_is_left_alone() {
    let fleet = fleet().two_groups().start().await;
    let node = &fleet.nodes[0];
    takes(node, 300);
    let running = node.begun(node.request(RebootWhen::Always, &["patch"]), Phase::RunCommand).await;
    fleet.alb.register(&fleet.arns[1], &node.target_id, NEW_PORT);
    let state = || {
        let targets = fleet.alb.targets(&fleet.arns[1]).into_iter();
        targets
            .filter(|target| target.port == NEW_PORT)
            .map(|target| target.state.to_string())
            .collect::<String>()
    };
    within(Duration::from_secs(130), || state() == "draining").await;
    assert_eq!(fleet.calls("DeregisterTargets").len(), 3, "once in each group, and again in the second");
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    assert_eq!(state(), "healthy");
    fleet.assert_restored();
}
