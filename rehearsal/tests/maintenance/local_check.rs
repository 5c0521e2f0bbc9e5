//! The node's own check before it leaves: a node that could not pass it afterwards stays in service.

use crate::fleet::{Fleet, Node, finished, fleet, logged, seconds, until};
use node_agent::record::phase::Phase;
use node_agent::record::{Finished, Verdict};
use node_agent::settings::OnUnhealthy;
use std::time::Duration;
use tokio::time::{Instant, sleep};

fn is_untouched(fleet: &Fleet, ended: &Finished, parts: &[&str]) {
    assert_eq!((ended.verdict, ended.exit_code), (Verdict::NothingChanged, 2), "{ended:?}");
    let reason = ended.reason.clone().unwrap_or_default();
    for part in parts {
        assert!(reason.contains(part), "{part:?} is missing in {reason}");
    }
    for action in ["DeregisterTargets", "AddTags"] {
        assert_eq!(fleet.calls(action).len(), 0, "{action}");
    }
    fleet.assert_restored();
}

async fn leaves(node: &Node, fleet: &Fleet) {
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    node.service.answers_all_alike();
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_service_that_answers_only_the_load_balancer_is_not_taken_out() {
    let log = logged();
    for (status, answer) in
        [(None, "did not answer: connection refused"), (Some(421), "answered 421, not 200")]
    {
        let fleet = fleet().start().await;
        let node = &fleet.nodes[0];
        node.service.answers_the_node(status);
        let began = Instant::now();
        let ended = node.finish(node.run(&["patch"])).await;
        let url = "http://10.0.0.1:8080/healthz";
        is_untouched(
            &fleet,
            &ended,
            &[
                "the load balancer reports no fault of this node",
                url,
                answer,
                "service_address",
                "health_url",
            ],
        );
        let seconds = began.elapsed().as_secs();
        assert!((10..12).contains(&seconds), "refused after {seconds} s");
        assert!(node.machine.ran.lock().unwrap().is_empty());
    }
    log.says("the load balancer reports no fault of this node in target group");
    log.says("but its own check fails");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_check_that_fails_by_chance_before_leaving_is_made_again() {
    let fleet = fleet().start().await;
    let node = fleet.nodes[0].clone();
    node.service.answers_the_node(None);
    let after = tokio::task::spawn_local(async move {
        sleep(Duration::from_secs(6)).await;
        node.service.answers_all_alike();
    });
    let node = &fleet.nodes[0];
    assert_eq!(node.finish(node.run(&["patch"])).await.verdict, Verdict::Succeeded);
    after.await.unwrap();
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_service_that_dies_before_leaving_counts_as_sick_and_not_as_a_wrong_setting() {
    let fleet = fleet().settings(|s| s.lease_wait = seconds(300)).start().await;
    let node = &fleet.nodes[0];
    node.service.set(None);
    // Two checks of the load balancer are six seconds apart: it knows before the last of the node's own.
    sleep(Duration::from_secs(2)).await;
    let ended = node.finish(node.run(&["patch"])).await;
    assert_eq!(ended.exit_code, 75, "{ended:?}");
    assert!(ended.reason.unwrap().contains("--repair"));
    until(|| fleet.alb.instances_out(&fleet.arn) == 1).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn told_to_repair_or_to_register_anyway_the_node_leaves_without_its_own_check() {
    let repair = fleet().settings(|s| s.repair = true).start().await;
    repair.nodes[0].service.answers_the_node(None);
    leaves(&repair.nodes[0], &repair).await;
    let register = fleet().settings(|s| s.on_unhealthy = OnUnhealthy::Register).start().await;
    register.nodes[0].service.answers_the_node(None);
    leaves(&register.nodes[0], &register).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_checks_itself_at_its_own_address_unless_another_is_set() {
    let urls = |fleet: &Fleet| fleet.nodes[0].service.urls();
    let by_instance = fleet().start().await;
    let by_address = fleet().by_address().start().await;
    let elsewhere =
        fleet().settings(|s| s.service_address = Some("127.0.0.1".parse().unwrap())).start().await;
    let own_url = fleet().settings(|s| s.health_url = Some("http://localhost:9/up".into())).start().await;
    for (fleet, url) in [
        (by_instance, "http://10.0.0.1:8080/healthz"),
        (by_address, "http://10.0.0.1:8080/healthz"),
        (elsewhere, "http://127.0.0.1:8080/healthz"),
        (own_url, "http://localhost:9/up"),
    ] {
        let node = &fleet.nodes[0];
        assert_eq!(node.finish(node.run(&["patch"])).await.verdict, Verdict::Succeeded);
        // Before leaving and three times before it came back.
        assert_eq!(urls(&fleet), vec![url; 4]);
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_address_that_was_checked_is_on_record_for_the_check_after_a_boot() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    running.abort();
    node.boot().await;
    let mut driver = node.restarted();
    // Right after a boot the metadata service may not answer.
    driver.identity.addresses.clear();
    let done = finished(driver.drive().await.unwrap());
    assert_eq!(done.verdict, Verdict::FailedButRestored, "the command was cut off");
    assert!(node.service.urls().iter().all(|url| url == "http://10.0.0.1:8080/healthz"));
    assert_eq!(fleet.alb.instances_out(&fleet.arn), 0);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_group_over_http2_is_refused_unless_the_service_has_another_url() {
    let log = logged();
    let fleet = fleet().over_http2().start().await;
    let node = &fleet.nodes[0];
    let ended = node.finish(node.run(&["patch"])).await;
    is_untouched(&fleet, &ended, &["in target group web", "HTTP/2", "set health_url"]);
    let mut request = node.run(&["patch"]);
    request.settings.health_url = Some("http://localhost:8080/healthz".into());
    assert_eq!(node.finish(request).await.verdict, Verdict::Succeeded);
    fleet.assert_restored();
    log.says("the load balancer speaks HTTP/2 to the targets");
}
