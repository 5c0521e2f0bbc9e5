//! The driver that stays, on a paused clock: while halted or drained, while the SSM agent is to reboot the machine, and
//! for as long as somebody wants what it does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod fleet;

use fleet::{Fleet, Node, finished, fleet, logged, until, within};
use local_alb::Fault;
use node_agent::maintenance::context::End;
use node_agent::record::mailbox::{Ask, Requests};
use node_agent::record::phase::Phase;
use node_agent::record::{RebootWhen, Request, Verdict};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

fn requests(node: &Node) -> Requests {
    Requests::beside(&node.settings.state_dir)
}

/// Drives as the unit does, with somebody waiting all the time.
fn driven(node: &Node, request: Request) -> JoinHandle<End> {
    let (mut driver, waits) = (node.unit(request), requests(node).wait().unwrap());
    tokio::task::spawn_local(async move {
        let end = driver.drive_and_stay().await.unwrap();
        drop(waits);
        end
    })
}

fn under_ssm(node: &Node) -> Request {
    Request { under_ssm: true, ..node.request(RebootWhen::Always, &[]) }
}

fn lease(fleet: &Fleet) -> String {
    fleet.leases()[&fleet.nodes[0].identity.instance_id].clone()
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_reboot_that_the_ssm_agent_does_not_make_is_made_after_three_minutes_once() {
    let log = logged();
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = driven(node, under_ssm(node));
    until(|| node.operation().is_some_and(|operation| operation.reboot.is_some())).await;
    let asked = Instant::now();
    node.machine.down.notified().await;
    let passed = asked.elapsed().as_secs();
    assert!((179..=186).contains(&passed), "{passed}");
    running.abort();
    let _ = running.await;
    node.boot().await;
    assert_eq!(finished(node.resume().await).verdict, Verdict::Succeeded);
    assert_eq!(node.machine.reboots.load(Ordering::Relaxed), 1);
    fleet.assert_restored();
    log.says("the machine did not reboot: requesting the reboot once more");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_slow_ssm_agent_that_has_scheduled_its_reboot_makes_it() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = driven(node, under_ssm(node));
    until(|| node.operation().is_some_and(|operation| operation.reboot.is_some())).await;
    sleep(Duration::from_secs(170)).await;
    node.schedule_shutdown(Duration::from_secs(60));
    sleep(Duration::from_secs(59)).await;
    assert_eq!(node.machine.reboots.load(Ordering::Relaxed), 0, "the driver leaves it to the agent");
    running.abort();
    let _ = running.await;
    node.boot().await;
    assert_eq!(finished(node.resume().await).verdict, Verdict::Succeeded);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_ssm_agent_that_was_stopped_makes_its_reboot_before_the_node_returns() {
    let log = logged();
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = driven(node, under_ssm(node));
    until(|| node.operation().is_some_and(|operation| operation.reboot.is_some())).await;
    node.machine.down.notified().await;
    running.abort();
    let _ = running.await;
    node.boot().await;
    // The agent is started, reads its 194, and runs `shutdown -r +1`.
    let resumed = node.clone();
    let resumed = tokio::task::spawn_local(async move { resumed.restarted().drive().await });
    node.schedule_shutdown(Duration::from_secs(60));
    sleep(Duration::from_secs(59)).await;
    assert_eq!((node.phase(), fleet.calls("RegisterTargets").len()), (Some(Phase::CheckHealth), 0));
    resumed.abort();
    let _ = resumed.await;
    node.boot().await;
    let finished = finished(node.resume().await);
    assert_eq!((finished.verdict, finished.boots), (Verdict::Succeeded, 2));
    assert_eq!(fleet.calls("RegisterTargets").len(), 1);
    fleet.assert_restored();
    log.says("for the shutdown scheduled for");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_machine_that_never_goes_down_halts_after_fifteen_minutes() {
    let log = logged();
    let fleet = fleet().settings(|s| s.notify_command = vec!["tell".into()]).start().await;
    let node = &fleet.nodes[0];
    node.machine.obeys.store(false, Ordering::Relaxed);
    let _running = driven(node, under_ssm(node));
    until(|| node.phase() == Some(Phase::Reboot)).await;
    let began = Instant::now();
    until(|| node.phase() == Some(Phase::Halted)).await;
    let passed = began.elapsed().as_secs();
    assert!((899..=910).contains(&passed), "{passed}");
    assert_eq!(node.machine.reboots.load(Ordering::Relaxed), 1);
    until(|| lease(&fleet).contains("p=halted")).await;
    assert_eq!(fleet.alb.instances_out(&fleet.arn), 1);
    let told = node.machine.notified.lock().unwrap().clone();
    assert!(told.len() == 1 && told[0].contains("\"event\":\"halted\""), "{told:?}");
    log.says("gave up");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn halted_it_keeps_its_tag_and_tells_people_every_hour_until_somebody_wants_it_back() {
    let fleet = fleet().settings(|s| s.notify_command = vec!["tell".into()]).start().await;
    let node = &fleet.nodes[0];
    let running = driven(node, node.run(&["patch"]));
    until(|| node.phase() == Some(Phase::CheckHealth)).await;
    node.service.set(Some(503));
    until(|| node.phase() == Some(Phase::Halted)).await;
    until(|| !node.machine.notified.lock().unwrap().is_empty()).await;
    sleep(Duration::from_secs(2 * 3600 + 60)).await;
    let told = node.machine.notified.lock().unwrap().clone();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told.iter().all(|text| text.contains("\"event\":\"halted\"") && text.contains("answered 503")),
        "{told:?}"
    );

    // Wiped by somebody, it is written again, as it was.
    let key = format!("node-agent/lease/{}", node.identity.instance_id);
    fleet.alb.remove_tag(&fleet.arn, &key);
    let began = Instant::now();
    until(|| fleet.leases().len() == 1).await;
    assert!(began.elapsed() <= Duration::from_secs(31), "{:?}", began.elapsed());
    assert!(lease(&fleet).contains("p=halted"), "{}", lease(&fleet));
    // Turned into a tag that takes no slot, it is halted again.
    for turned in ["v1 p=waiting e=other t=3 s=1", "v1 p=failed e=other"] {
        fleet.alb.set_tag(&fleet.arn, &key, turned);
        until(|| lease(&fleet).contains("p=halted")).await;
    }

    node.service.set(Some(200));
    sleep(Duration::from_secs(600)).await;
    assert_eq!(node.phase(), Some(Phase::Halted), "nothing is retried by itself");
    requests(node).leave(&Ask::ComeBack).unwrap();
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn drained_and_forgotten_it_comes_back_after_four_hours() {
    let log = logged();
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = driven(node, Request { stay_out: true, ..node.run(&[]) });
    until(|| node.phase() == Some(Phase::Drained)).await;
    let began = Instant::now();
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    let passed = began.elapsed().as_secs();
    assert!((4 * 3600..4 * 3600 + 60).contains(&passed), "{passed}");
    fleet.assert_restored();
    log.says("without `node-agent rejoin`: returning to service");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn when_no_client_waits_any_more_a_node_in_service_stays_there() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let mut driver = node.unit(node.reboot());
    let finished = finished(driver.drive_and_stay().await.unwrap());
    assert_eq!((finished.verdict, finished.exit_code), (Verdict::NothingChanged, 75));
    assert!(finished.reason.unwrap().contains("no client waits for it any more"));
    assert_eq!(node.machine.reboots.load(Ordering::Relaxed), 0);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn once_out_it_finishes_even_if_no_client_waits() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let (mut driver, waits) = (node.unit(node.run(&["patch"])), requests(node).wait().unwrap());
    let running = tokio::task::spawn_local(async move { driver.drive_and_stay().await.unwrap() });
    until(|| node.operation().is_some_and(|operation| operation.left.is_some())).await;
    drop(waits);
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn nobody_leaves_after_the_window() {
    let fleet = fleet().start().await;
    let (first, second) = (&fleet.nodes[0], &fleet.nodes[1]);
    let _drained = driven(first, Request { stay_out: true, ..first.run(&[]) });
    until(|| first.phase() == Some(Phase::Drained)).await;
    // The clock of the machine counts from its boot.
    let not_after = Some(jiff::Timestamp::from_second(600).unwrap());
    let late = second.finish(Request { not_after, ..second.reboot() }).await;
    assert_eq!((late.verdict, late.exit_code), (Verdict::NothingChanged, 75));
    assert!(late.reason.unwrap().contains("--not-after"));
    assert!((600..670).contains(&late.at.as_second()), "{}", late.at);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn asked_to_stop_in_the_drain_the_node_turns_back_and_may_be_asked_again() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = driven(node, node.run(&["patch"]));
    until(|| node.phase() == Some(Phase::Drain)).await;
    requests(node).leave(&Ask::Stop).unwrap();
    let stopped = finished(running.await.unwrap());
    assert_eq!(stopped.verdict, Verdict::FailedButRestored);
    assert_eq!(stopped.reason.as_deref(), Some("drain: stop requested"));
    assert!(node.machine.ran.lock().unwrap().is_empty());
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn asked_to_come_back_before_it_has_drained_it_turns_back() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = driven(node, Request { stay_out: true, ..node.run(&[]) });
    until(|| node.phase() == Some(Phase::Drain)).await;
    requests(node).leave(&Ask::ComeBack).unwrap();
    let finished = finished(running.await.unwrap());
    assert_eq!(finished.verdict, Verdict::FailedButRestored);
    assert_eq!(finished.reason.as_deref(), Some("drain: rejoin requested before the node had drained"));
    assert!(finished.phases.iter().all(|run| run.phase != Phase::Drained), "{finished:?}");
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_drain_is_not_joined_by_another_while_it_comes_back() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let drain = || Request { stay_out: true, ..node.run(&[]) };
    let running = driven(node, drain());
    until(|| node.phase() == Some(Phase::Drained)).await;
    requests(node).leave(&Ask::ComeBack).unwrap();
    until(|| node.phase() == Some(Phase::WaitInService)).await;
    let another = Request { id: "another".into(), ..drain() };
    requests(node).leave(&Ask::Begin(Box::new(another))).unwrap();
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    let refused = requests(node).refused("another").unwrap();
    assert_eq!(refused.exit_code, 75, "{refused:?}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_mark_of_a_halt_is_made_up_for_once_the_api_answers() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let _running = driven(node, node.run(&["patch"]));
    until(|| node.phase() == Some(Phase::CheckHealth)).await;
    node.service.set(Some(503));
    fleet.alb.script("AddTags", Fault::Refused, 6);
    until(|| node.phase() == Some(Phase::Halted)).await;
    assert!(lease(&fleet).contains("p=held"), "{}", lease(&fleet));
    until(|| lease(&fleet).contains("p=halted")).await;
    assert_eq!(fleet.calls("AddTags").iter().filter(|call| call.answer == "Refused").count(), 6);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_halt_leaves_an_operators_break_alone() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let _running = driven(node, node.run(&["patch"]));
    until(|| node.phase() == Some(Phase::CheckHealth)).await;
    let key = format!("node-agent/lease/{}", node.identity.instance_id);
    fleet.alb.set_tag(&fleet.arn, &key, &lease(&fleet).replace("p=held", "p=broken"));
    node.service.set(Some(503));
    until(|| node.phase() == Some(Phase::Halted)).await;
    sleep(Duration::from_secs(120)).await;
    assert!(lease(&fleet).contains("p=broken"), "{}", lease(&fleet));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn told_to_stop_while_it_stays_the_driver_ends_and_leaves_everything_as_it_is() {
    for halted in [true, false] {
        let fleet = fleet().start().await;
        let node = &fleet.nodes[0];
        let request = if halted { node.run(&["patch"]) } else { Request { stay_out: true, ..node.run(&[]) } };
        let running = driven(node, request);
        if halted {
            until(|| node.phase() == Some(Phase::CheckHealth)).await;
            node.service.set(Some(503));
        }
        let stays = if halted { Phase::Halted } else { Phase::Drained };
        until(|| node.phase() == Some(stays)).await;
        sleep(Duration::from_secs(60)).await;
        let (before, operation) = (lease(&fleet), node.operation());
        node.ask_to_stop();
        within(Duration::from_secs(1), || running.is_finished()).await;
        let end = running.await.unwrap();
        assert!(matches!(end, End::Halted(_)) == halted && matches!(end, End::Drained) != halted, "{end:?}");
        assert_eq!((lease(&fleet), node.operation()), (before, operation));
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_rejoin_does_not_turn_back_a_maintenance() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = driven(node, node.run(&["patch"]));
    until(|| node.phase() == Some(Phase::Drain)).await;
    requests(node).leave(&Ask::ComeBack).unwrap();
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    assert_eq!(node.machine.ran.lock().unwrap().len(), 1);
    fleet.assert_restored();
}
