//! The command and the reboot, and how they end.

use crate::fleet::{finished, fleet, logged, seconds, until, within};
use node_agent::maintenance::context::End;
use node_agent::record::phase::Phase;
use node_agent::record::{RebootWhen, Request, Verdict};
use node_agent::settings::Settings;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};

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
async fn a_reboot_that_the_machine_refuses_all_the_time_brings_the_node_back() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    node.machine.refuses.store(true, Ordering::Relaxed);
    let ended = node.finish(node.reboot()).await;
    assert_eq!((ended.verdict, ended.exit_code), (Verdict::FailedButRestored, 1), "{ended:?}");
    let reason = ended.reason.unwrap();
    assert_eq!(
        reason,
        "reboot: gave up after 15m of waiting for the machine to accept a reboot: failed to reboot with `systemctl reboot`: \
         exit status: 1"
    );
    let asked = node.machine.reboots.load(Ordering::Relaxed);
    assert!((30..40).contains(&asked), "asked {asked} times in 15 minutes");
    assert_eq!(fleet.alb.instances_out(&fleet.arn), 0);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_reboot_that_is_refused_for_a_while_is_made_once_it_is_accepted() {
    let log = logged();
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    node.machine.refuses.store(true, Ordering::Relaxed);
    let running = node.begun(node.reboot(), Phase::Reboot).await;
    sleep(Duration::from_secs(300)).await;
    assert_eq!(node.operation().unwrap().reboot, None, "a refusal is no request");
    node.machine.refuses.store(false, Ordering::Relaxed);
    let accepted = Instant::now();
    let ended = finished(running.await.unwrap());
    assert_eq!(ended.verdict, Verdict::Succeeded, "{ended:?}");
    assert!(accepted.elapsed() < Duration::from_secs(180), "{:?}", accepted.elapsed());
    fleet.assert_restored();
    log.says("for the machine to accept a reboot");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_second_request_that_is_refused_does_not_count_as_one() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    node.machine.obeys.store(false, Ordering::Relaxed);
    let running = node.begun(node.reboot(), Phase::Reboot).await;
    until(|| node.machine.reboots.load(Ordering::Relaxed) == 1).await;
    node.machine.refuses.store(true, Ordering::Relaxed);
    until(|| node.machine.reboots.load(Ordering::Relaxed) > 3).await;
    assert_eq!(node.operation().unwrap().reboot.unwrap().times, 1);
    node.machine.refuses.store(false, Ordering::Relaxed);
    node.machine.obeys.store(true, Ordering::Relaxed);
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_program_that_does_not_exist_is_found_before_the_node_leaves() {
    let tell = |s: &mut Settings| s.notify_command = vec!["tell-people".into()];
    for (what, program) in
        [("the command", "patch"), ("reboot_command", "systemctl"), ("notify_command", "tell-people")]
    {
        let fleet = fleet().settings(tell).start().await;
        let node = &fleet.nodes[0];
        *node.machine.lacks.lock().unwrap() = Some(program.to_owned());
        let ended = node.finish(node.request(RebootWhen::Always, &["patch"])).await;
        assert_eq!((ended.verdict, ended.exit_code), (Verdict::NothingChanged, 2), "{ended:?}");
        let reason = ended.reason.unwrap();
        assert!(reason.contains(&format!("failed to find the program of {what} `{program}`")), "{reason}");
        assert_eq!(fleet.calls("DeregisterTargets").len(), 0);
        fleet.assert_restored();
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn what_the_command_leaves_running_outlives_a_driver_that_ends_and_not_one_that_dies() {
    let log = logged();
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let unit = |id: &str| {
        let mut driver = node.driver(Request { id: id.into(), ..node.run(&["deploy"]) });
        driver.stays = true;
        driver
    };
    assert_eq!(finished(unit("one").drive().await.unwrap()).verdict, Verdict::Succeeded);
    let first = node.machine.scopes.lock().unwrap().clone();
    assert_eq!((first.len(), node.machine.ended_scopes.lock().unwrap().len()), (1, 0));

    let killed = node.clone();
    let mut driver = unit("two");
    let running = tokio::task::spawn_local(async move { driver.drive().await });
    until(|| killed.phase() == Some(Phase::RunCommand) && killed.machine.scopes.lock().unwrap().len() == 2)
        .await;
    running.abort();
    let _ = running.await;
    let ended = finished(node.restarted().drive().await.unwrap());
    assert_eq!(ended.verdict, Verdict::FailedButRestored, "{ended:?}");
    let second = node.machine.scopes.lock().unwrap()[1].clone();
    assert_ne!(first[0], second);
    assert_eq!(*node.machine.ended_scopes.lock().unwrap(), [second]);
    log.says("the driver died while the command ran");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn exit_codes_mean_what_the_settings_say() {
    for (code, verdict, reboots) in [
        (0, Verdict::Succeeded, 0),
        (3, Verdict::Succeeded, 0),
        (4, Verdict::FailedButRestored, 0),
        (102, Verdict::Succeeded, 1),
        (194, Verdict::Succeeded, 1),
    ] {
        let codes = |s: &mut Settings| (s.success_codes, s.reboot_codes) = (vec![3], vec![102, 103]);
        let fleet = fleet().settings(codes).start().await;
        let node = &fleet.nodes[0];
        *node.machine.command.lock().unwrap() = (Duration::from_secs(5), code);
        let ended = node.finish(node.request(RebootWhen::IfRequired, &["patch"])).await;
        assert_eq!(ended.verdict, verdict, "{code}: {ended:?}");
        assert_eq!(node.machine.reboots.load(Ordering::Relaxed), reboots, "{code}");
    }
}
