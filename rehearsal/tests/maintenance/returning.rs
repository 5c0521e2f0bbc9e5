//! The way back into service: nobody is registered unproved, and nobody lets go of the lease before it is sure.

use crate::fleet::{Fleet, Node, PORT, finished, fleet, logged, seconds, until, within};
use local_alb::Fault;
use node_agent::maintenance::context::End;
use node_agent::record::Verdict;
use node_agent::record::phase::{Outcome, Phase};
use node_agent::settings::OnUnhealthy;
use std::time::Duration;
use tokio::time::sleep;

/// The first node is registered again and healthy as far as the load balancer goes, for the first time in this moment.
async fn healthy_again(fleet: &Fleet) {
    until(|| fleet.nodes[0].phase() == Some(Phase::WaitInService)).await;
    until(|| fleet.pairs(0) == [(PORT, "healthy".to_owned())]).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_service_that_comes_and_goes_is_not_registered() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    let service = node.service.clone();
    // Never up for three checks in a row, which come every second.
    let flapping = tokio::task::spawn_local(async move {
        for status in [503, 200].into_iter().cycle() {
            service.set(Some(status));
            sleep(Duration::from_millis(1600)).await;
        }
    });
    let registered = || !fleet.calls("RegisterTargets").is_empty();
    within(Duration::from_secs(900), || registered() || node.phase() == Some(Phase::Halted)).await;
    assert!(!registered());
    flapping.abort();
    assert!(matches!(running.await.unwrap(), End::Halted(_)));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn every_port_has_to_be_well_before_any_is_registered() {
    let fleet = fleet().ports(&[8080, 8081]).start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::CheckHealth).await;
    node.service.set_port(8081, None);
    assert!(matches!(running.await.unwrap(), End::Halted(_)));
    assert!(fleet.calls("RegisterTargets").is_empty());
    node.service.set_port(8081, Some(200));
    assert_eq!(finished(node.resume().await).verdict, Verdict::Succeeded);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_that_was_registered_unhealthy_has_failed_even_if_it_recovers() {
    let fleet = fleet().settings(|s| s.on_unhealthy = OnUnhealthy::Register).start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::CheckHealth).await;
    node.service.set(Some(503));
    until(|| node.phase() == Some(Phase::WaitInService)).await;
    node.service.set(Some(200));
    let ended = finished(running.await.unwrap());
    assert_eq!((ended.verdict, ended.exit_code), (Verdict::FailedButRestored, 1), "{ended:?}");
    assert!(ended.reason.unwrap().contains("answered 503"));
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_lease_is_kept_until_a_second_look_confirms_the_first() {
    let fleet = fleet().start().await;
    let running = fleet.nodes[0].begun(fleet.nodes[0].run(&["patch"]), Phase::Drain).await;
    healthy_again(&fleet).await;
    // The first look may have been as stale as this.
    sleep(Duration::from_secs(4)).await;
    assert!(fleet.lease(0).is_some_and(|lease| lease.contains("p=held")), "{:?}", fleet.leases());
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_slow_start_that_is_longer_than_the_limit_is_waited_for() {
    let fleet = fleet().attribute("slow_start.duration_seconds", "900").start().await;
    let running = fleet.nodes[0].begun(fleet.nodes[0].run(&["patch"]), Phase::Drain).await;
    healthy_again(&fleet).await;
    let healthy = within(Duration::from_secs(1000), || fleet.lease(0).is_none()).await;
    assert!((895..910).contains(&healthy.as_secs()), "{healthy:?}");
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_slow_start_begins_anew_when_the_node_was_unhealthy_in_between() {
    let fleet = fleet().attribute("slow_start.duration_seconds", "120").start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::Drain).await;
    healthy_again(&fleet).await;
    node.service.set(Some(500));
    until(|| fleet.pairs(0) == [(PORT, "unhealthy".to_owned())]).await;
    sleep(Duration::from_secs(60)).await;
    node.service.set(Some(200));
    healthy_again(&fleet).await;
    let healthy = within(Duration::from_secs(300), || fleet.lease(0).is_none()).await;
    assert!((115..130).contains(&healthy.as_secs()), "{healthy:?}");
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn deregistered_by_somebody_else_on_its_way_back_it_is_registered_again() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::Drain).await;
    healthy_again(&fleet).await;
    sleep(Duration::from_secs(2)).await;
    fleet.alb.deregister(&fleet.arn, &node.target_id, PORT);
    let ended = finished(running.await.unwrap());
    assert_eq!(ended.verdict, Verdict::Succeeded);
    let waits = ended.phases.iter().filter(|run| run.phase == Phase::WaitInService).map(|run| run.outcome);
    assert_eq!(waits.collect::<Vec<_>>(), [Outcome::Blocked, Outcome::Ok]);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn deregistered_again_and_again_it_halts_with_its_lease() {
    let fleet = fleet().start().await;
    let node = fleet.nodes[0].clone();
    let running = node.begun(node.run(&["patch"]), Phase::WaitInService).await;
    let (alb, arn, id) = (fleet.alb.clone(), fleet.arn.clone(), node.target_id.clone());
    let meddler = tokio::task::spawn_local(async move {
        loop {
            let registered =
                || alb.targets(&arn).iter().any(|target| target.id == id && target.state.word() == "initial");
            until(registered).await;
            // Long enough to be seen.
            sleep(Duration::from_secs(2)).await;
            alb.deregister(&arn, &id, PORT);
        }
    });
    within(Duration::from_secs(300), || node.phase() == Some(Phase::Halted)).await;
    meddler.abort();
    let End::Halted(reason) = running.await.unwrap() else { panic!("not halted") };
    assert!(reason.contains("although we registered it, for the 4th time"), "{reason}");
    assert!(fleet.lease(0).unwrap().contains("p=halted"));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_address_that_turns_back_waits_out_a_delay_longer_than_the_limit() {
    let fleet = fleet()
        .by_address()
        .attribute("deregistration_delay.timeout_seconds", "1800")
        .settings(|s| s.register_limit = seconds(600))
        .start()
        .await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::Drain).await;
    node.ask_to_stop();
    let ended = finished(running.await.unwrap());
    assert_eq!(ended.verdict, Verdict::FailedButRestored, "{ended:?}");
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_permission_that_is_lost_while_out_is_waited_for() {
    for action in ["DescribeTargetHealth", "RegisterTargets", "RemoveTags"] {
        let fleet = fleet().start().await;
        let running = fleet.nodes[0].begun(fleet.nodes[0].run(&["patch"]), Phase::Drain).await;
        fleet.alb.script(action, Fault::AccessDenied, 5);
        let ended = finished(running.await.unwrap());
        assert_eq!(ended.verdict, Verdict::Succeeded, "{action}: {ended:?}");
        fleet.assert_restored();
    }
}

/// The machine boots with a service that fails its checks. Returns how the driver after the boot ended.
async fn boots_with_a_failing_service(node: &Node) -> End {
    node.boot().await;
    node.service.set(Some(503));
    node.restarted().drive().await.unwrap()
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn after_a_boot_while_registering_the_service_is_checked_first() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    fleet.alb.script("RegisterTargets", Fault::ServerError, 10);
    let running = node.begun(node.run(&["patch"]), Phase::Register).await;
    until(|| !fleet.calls("RegisterTargets").is_empty()).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    let before = fleet.calls("RegisterTargets").len();
    assert!(matches!(boots_with_a_failing_service(node).await, End::Halted(_)));
    assert_eq!(fleet.calls("RegisterTargets").len(), before, "registered without a check");
    node.service.set(Some(200));
    assert_eq!(finished(node.resume().await).exit_code, 0);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_that_boots_with_a_lease_keeps_it_until_it_is_healthy() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::AcquireLease).await;
    until(|| fleet.lease(0).is_some()).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert!(matches!(boots_with_a_failing_service(node).await, End::Halted(_)));
    assert!(fleet.lease(0).is_some_and(|lease| lease.contains("p=halted")), "{:?}", fleet.leases());
    node.service.set(Some(200));
    let ended = finished(node.resume().await);
    assert_eq!((ended.verdict, ended.exit_code), (Verdict::NothingChanged, 75), "{ended:?}");
    assert!(fleet.calls("DeregisterTargets").is_empty());
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_address_outside_the_vpc_comes_back_with_the_zone_that_it_needs_there() {
    let outside = fleet().outside_the_vpc().start().await;
    let node = &outside.nodes[0];
    assert_eq!(node.finish(node.reboot()).await.verdict, Verdict::Succeeded);
    outside.assert_restored();
    // An address inside must not have it: the load balancer would refuse it.
    let inside = fleet().inside_the_vpc().start().await;
    let node = &inside.nodes[0];
    assert_eq!(node.finish(node.reboot()).await.verdict, Verdict::Succeeded);
    inside.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_registration_that_shows_late_is_waited_for() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    fleet.alb.change_faults(|faults| faults.late_registrations = Duration::from_secs(30));
    let done = finished(running.await.unwrap());
    assert_eq!((done.verdict, done.exit_code), (Verdict::Succeeded, 0), "{done:?}");
    assert_eq!(fleet.calls("RegisterTargets").len(), 1);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_registration_that_does_not_show_is_sent_again_every_minute_until_the_limit() {
    let log = logged();
    let fleet = fleet().settings(|s| s.in_service_limit = seconds(400)).start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    fleet.alb.change_faults(|faults| faults.late_registrations = Duration::from_secs(3600));
    let End::Halted(reason) = running.await.unwrap() else { panic!("not halted") };
    assert!(reason.contains("gave up after 6m 40s") && reason.contains("is unused"), "{reason}");
    assert_eq!(fleet.calls("RegisterTargets").len(), 1 + 6);
    assert!(fleet.lease(0).unwrap().contains("p=halted"));
    fleet.alb.change_faults(|faults| faults.late_registrations = Duration::ZERO);
    assert_eq!(finished(node.resume().await).verdict, Verdict::Succeeded);
    fleet.assert_restored();
    log.says("registering it again");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn taken_out_again_after_its_registration_has_shown_it_is_registered_again() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::WaitInService).await;
    until(|| fleet.pairs(0).iter().any(|(_, state)| state == "healthy")).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    fleet.alb.deregister(&fleet.arn, &node.target_id, PORT);
    let done = finished(running.await.unwrap());
    assert_eq!(done.verdict, Verdict::Succeeded, "{done:?}");
    assert_eq!(fleet.calls("RegisterTargets").len(), 2, "at once, not after a minute");
    fleet.assert_restored();
}
