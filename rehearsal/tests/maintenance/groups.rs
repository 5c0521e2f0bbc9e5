//! What a target group asks for, or that it is gone.

use crate::fleet::{finished, fleet, logged, seconds};
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_paused_group_is_left_alone_and_says_why() {
    let fleet = fleet().tag("paused", "release day").start().await;
    let finished = fleet.nodes[0].finish(fleet.nodes[0].reboot()).await;
    assert_eq!(finished.exit_code, 75);
    assert!(finished.reason.unwrap().contains("maintenance is paused: release day"));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_policy_that_cannot_be_read_is_named() {
    let fleet = fleet().tag("max-unavailable", "some").start().await;
    let finished = fleet.nodes[0].finish(fleet.nodes[0].reboot()).await;
    assert_eq!(finished.exit_code, 2);
    assert!(finished.reason.unwrap().contains("node-agent/max-unavailable is \"some\""));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_group_of_one_needs_to_be_told() {
    let fleet = fleet().nodes(1).settings(|s| s.lease_wait = seconds(60)).start().await;
    let node = &fleet.nodes[0];
    let refused = node.finish(node.reboot()).await;
    assert_eq!(refused.exit_code, 75);
    assert!(refused.reason.unwrap().contains("--allow-empty"));
    let mut request = node.reboot();
    request.settings.allow_empty = true;
    assert_eq!(node.finish(request).await.verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_target_group_deleted_meanwhile_is_finished_with_a_warning() {
    let log = logged();
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    fleet.alb.delete_target_group(&fleet.arn);
    let finished = finished(running.await.unwrap());
    assert_eq!(finished.exit_code, 1);
    assert!(finished.reason.unwrap().contains("all our target groups have been deleted"));
    log.says("no longer exists");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_group_whose_targets_a_controller_registers_is_refused() {
    let fleet = fleet().start().await;
    fleet.alb.set_tag(&fleet.arn, "elbv2.k8s.aws/cluster", "prod");
    let refused = fleet.nodes[0].finish(fleet.nodes[0].reboot()).await;
    assert_eq!((refused.verdict, refused.exit_code), (Verdict::NothingChanged, 2));
    assert!(refused.reason.unwrap().contains("the targets belong to the Kubernetes cluster prod"));
    assert!(fleet.calls("AddTags").is_empty());
    fleet.assert_restored();
}
