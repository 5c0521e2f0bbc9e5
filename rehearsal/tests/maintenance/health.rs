//! Nodes that are not healthy: this one, or others.

use crate::fleet::{PORT, finished, fleet, logged, seconds, until};
use node_agent::maintenance::context::End;
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;
use node_agent::settings::OnUnhealthy;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_service_that_stays_down_halts_the_node_and_resume_brings_it_back() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::CheckHealth).await;
    node.service.set(Some(503));
    let End::Halted(reason) = running.await.unwrap() else { panic!("not halted") };
    assert!(reason.contains("answered 503, not 200") && reason.contains("node-agent resume"), "{reason}");
    assert!(fleet.leases()[&node.identity.instance_id].contains("p=halted"));
    assert_eq!(fleet.alb.instances_out(&fleet.arn), 1);
    // Nobody else starts.
    let second = &fleet.nodes[1];
    assert_eq!(second.finish(second.reboot()).await.exit_code, 75);

    node.service.set(Some(200));
    let back = finished(node.resume().await);
    assert_eq!((back.verdict, back.exit_code), (Verdict::Succeeded, 0));
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn told_so_an_unhealthy_node_is_registered_and_the_load_balancer_judges() {
    let fleet = fleet().settings(|s| s.on_unhealthy = OnUnhealthy::Register).start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::CheckHealth).await;
    node.service.set(Some(503));
    let End::Halted(reason) = running.await.unwrap() else { panic!("not halted") };
    assert!(reason.contains("unhealthy (Target.ResponseCodeMismatch)"), "{reason}");
    assert_eq!(fleet.pairs(0), [(PORT, "unhealthy".to_owned())]);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_unhealthy_neighbour_is_waited_for() {
    let fleet = fleet().start().await;
    fleet.nodes[2].service.set(Some(500));
    until(|| fleet.alb.instances_out(&fleet.arn) == 1).await;
    let node = fleet.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    sleep(Duration::from_secs(600)).await;
    assert_eq!(fleet.nodes[0].phase(), Some(Phase::CheckGroup));
    assert_eq!(fleet.leases().len(), 0, "a lease is never held while blocked");
    fleet.nodes[2].service.set(Some(200));
    assert_eq!(running.await.unwrap().verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_unhealthy_group_ends_the_wait_at_its_deadline() {
    let fleet = fleet().settings(|s| s.lease_wait = seconds(600)).start().await;
    fleet.nodes[2].service.set(Some(500));
    until(|| fleet.alb.instances_out(&fleet.arn) == 1).await;
    let began = Instant::now();
    let finished = fleet.nodes[0].finish(fleet.nodes[0].reboot()).await;
    assert_eq!((finished.verdict, finished.exit_code), (Verdict::NothingChanged, 75));
    assert!(finished.reason.unwrap().contains("gave up after 10m"));
    assert!((Duration::from_secs(600)..Duration::from_secs(602)).contains(&began.elapsed()));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_that_is_sick_itself_leaves_only_to_be_repaired() {
    let fleet = fleet().settings(|s| s.lease_wait = seconds(60)).start().await;
    let node = &fleet.nodes[0];
    node.service.set(Some(500));
    until(|| fleet.alb.instances_out(&fleet.arn) == 1).await;
    let refused = node.finish(node.run(&["repair"])).await;
    assert!(refused.reason.unwrap().contains("--repair"));

    let mut request = node.run(&["repair"]);
    request.settings.repair = true;
    let node_ = node.clone();
    let running = tokio::task::spawn_local(async move { node_.finish(request).await });
    until(|| !node.machine.ran.lock().unwrap().is_empty()).await;
    node.service.set(Some(200));
    assert_eq!(running.await.unwrap().verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn while_a_shutdown_is_scheduled_a_healthy_node_does_not_return() {
    let log = logged();
    for on_unhealthy in [OnUnhealthy::Halt, OnUnhealthy::Register] {
        let fleet = fleet().settings(|s| s.on_unhealthy = on_unhealthy).start().await;
        let node = &fleet.nodes[0];
        let running = node.begun(node.run(&["patch"]), Phase::CheckHealth).await;
        node.schedule_shutdown(Duration::from_secs(290));
        sleep(Duration::from_secs(280)).await;
        assert_eq!(node.phase(), Some(Phase::CheckHealth));
        assert_eq!(fleet.calls("RegisterTargets").len(), 0);
        node.cancel_shutdown();
        let cancelled = Instant::now();
        until(|| !fleet.calls("RegisterTargets").is_empty()).await;
        assert!(cancelled.elapsed() <= Duration::from_secs(2), "{:?}", cancelled.elapsed());
        assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
        fleet.assert_restored();
    }
    log.says("for the shutdown scheduled for");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_shutdown_that_is_far_away_or_does_not_come_keeps_no_node_out() {
    for (after, longest) in [(400, 30), (290, 390)] {
        let fleet = fleet().start().await;
        let node = &fleet.nodes[0];
        let running = node.begun(node.run(&["patch"]), Phase::CheckHealth).await;
        node.schedule_shutdown(Duration::from_secs(after));
        let began = Instant::now();
        assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
        let passed = began.elapsed().as_secs();
        assert!(passed <= longest && (passed > after) == (after < 300), "{after} s: {passed} s");
        fleet.assert_restored();
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn shutdowns_scheduled_again_and_again_keep_no_node_out_for_ever() {
    let log = logged();
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::CheckHealth).await;
    let began = Instant::now();
    while !running.is_finished() {
        node.schedule_shutdown(Duration::from_secs(200));
        sleep(Duration::from_secs(30)).await;
        assert!(began.elapsed() < Duration::from_secs(600), "still out");
    }
    assert!(began.elapsed() > Duration::from_secs(360), "{:?}", began.elapsed());
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    fleet.assert_restored();
    log.says("and the machine is still up");
}
