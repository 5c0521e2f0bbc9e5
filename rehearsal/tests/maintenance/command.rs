//! The command and the reboot, and how they end.

use crate::fleet::{finished, fleet, seconds, within};
use node_agent::maintenance::context::End;
use node_agent::record::phase::Phase;
use node_agent::record::{RebootWhen, Verdict};
use std::sync::atomic::Ordering;
use std::time::Duration;

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_failed_command_brings_the_node_back_and_stops_the_roll() {
    let fleet = fleet().start().await;
    let (first, second) = (&fleet.nodes[0], &fleet.nodes[1]);
    *first.machine.command.lock().unwrap() = (Duration::from_secs(5), 3);
    let failed = first.finish(first.run(&["patch"])).await;
    assert_eq!((failed.verdict, failed.exit_code), (Verdict::FailedButRestored, 1));
    assert_eq!(failed.reason.as_deref(), Some("run_command: the command exited with 3"));
    assert_eq!(fleet.alb.instances_out(&fleet.arn), 0);
    assert!(fleet.leases()[&first.identity.instance_id].contains("p=failed"));

    let stopped = second.finish(second.run(&["patch"])).await;
    assert_eq!((stopped.verdict, stopped.exit_code), (Verdict::NothingChanged, 75));
    assert!(stopped.reason.unwrap().contains("1 node failed maintenance"));

    // Its own next success clears the mark, and the roll goes on.
    *first.machine.command.lock().unwrap() = (Duration::from_secs(5), 0);
    assert_eq!(first.finish(first.run(&["patch", "again"])).await.verdict, Verdict::Succeeded);
    fleet.assert_restored();
    assert_eq!(second.finish(second.run(&["patch"])).await.verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_command_that_asks_for_a_reboot_gets_one() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    *node.machine.command.lock().unwrap() = (Duration::from_secs(5), 194);
    let finished = node.finish(node.request(RebootWhen::IfRequired, &["patch"])).await;
    assert_eq!(finished.verdict, Verdict::Succeeded);
    assert_eq!(node.machine.reboots.load(Ordering::Relaxed), 1);
    assert_eq!(node.machine.ran.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_reboot_that_is_not_required_is_left_out() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let finished = node.finish(node.request(RebootWhen::IfRequired, &["patch"])).await;
    assert_eq!(finished.verdict, Verdict::Succeeded);
    assert_eq!(node.machine.reboots.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_reboot_that_never_comes_is_asked_for_twice_and_then_halts() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    node.machine.obeys.store(false, Ordering::Relaxed);
    let End::Halted(reason) = node.maintain(node.reboot()).await else { panic!("not halted") };
    assert_eq!(reason, "gave up after 15m of waiting for the machine to go down");
    assert_eq!(node.machine.reboots.load(Ordering::Relaxed), 2);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_command_that_takes_too_long_is_ended_and_the_node_comes_back() {
    let fleet = fleet().settings(|s| s.command_limit = seconds(600)).start().await;
    let node = &fleet.nodes[0];
    *node.machine.command.lock().unwrap() = (Duration::from_secs(7200), 0);
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    let took = within(Duration::from_secs(900), || node.phase() != Some(Phase::RunCommand)).await;
    assert!((599..=601).contains(&took.as_secs()), "{took:?}");
    let ended = finished(running.await.unwrap());
    assert_eq!((ended.verdict, ended.exit_code), (Verdict::FailedButRestored, 1), "{ended:?}");
    assert!(fleet.lease(0).unwrap().contains("p=failed"));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_reboot_that_the_machine_refuses_brings_the_node_back() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    node.machine.refuses.store(true, Ordering::Relaxed);
    let ended = node.finish(node.reboot()).await;
    assert_eq!((ended.verdict, ended.exit_code), (Verdict::FailedButRestored, 1), "{ended:?}");
    let reason = ended.reason.unwrap();
    assert_eq!(reason, "reboot: failed to reboot with `systemctl reboot`: exit status: 1");
    assert_eq!(node.machine.reboots.load(Ordering::Relaxed), 1);
    fleet.assert_restored();
}
