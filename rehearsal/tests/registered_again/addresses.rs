//! Groups of type `ip`: every address of the node counts, and none that is no longer its own.

use crate::fleet::{Fleet, PORT, finished, fleet, logged, until, within};
use crate::register;
use node_agent::maintenance::context::End;
use node_agent::record::phase::Phase;
use node_agent::record::{Request, Verdict};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinHandle;

const SECONDARY: &str = "10.0.9.1";
const IPV6: &str = "fd00::9";
/// The same address, as somebody else may write it.
const IPV6_IN_FULL: &str = "fd00:0:0:0:0:0:0:9";

fn register_address(fleet: &Fleet, address: &str) {
    fleet.alb.register(&fleet.arn, address, PORT);
}

/// The first node has its secondary address in the group, too, and runs its command.
async fn out_with_two_addresses(fleet: &Fleet) -> JoinHandle<End> {
    fleet.give_address(0, SECONDARY);
    register_address(fleet, SECONDARY);
    until(|| fleet.state(SECONDARY, PORT) == "healthy").await;
    let mut both = fleet.nodes[0].clone();
    both.identity.addresses.push(SECONDARY.parse().unwrap());
    both.begun(both.run(&["patch"]), Phase::RunCommand).await
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn another_address_that_was_registered_meanwhile_is_drained_before_the_reboot() {
    for (address, registered_as) in [(SECONDARY, SECONDARY), (IPV6, IPV6), (IPV6, IPV6_IN_FULL)] {
        let fleet = fleet().by_address().start().await;
        let node = &fleet.nodes[0];
        let running = node.begun(node.reboot(), Phase::Drain).await;
        // The interface was attached while the agent was running.
        fleet.give_address(0, address);
        fleet.answers_at(0, registered_as);
        register_address(&fleet, registered_as);
        until(|| node.machine.reboots.load(Ordering::Relaxed) == 1).await;
        assert_eq!(fleet.state(registered_as, PORT), "unused", "{registered_as}");
        assert_eq!(fleet.state(&node.target_id, PORT), "unused");
        assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_with_two_addresses_in_a_group_is_one_node_and_leaves_with_both() {
    let fleet = fleet().by_address().start().await;
    let node = &fleet.nodes[0];
    let running = out_with_two_addresses(&fleet).await;
    assert_eq!(
        (fleet.state(&node.target_id, PORT), fleet.state(SECONDARY, PORT)),
        ("unused".into(), "unused".into())
    );
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    assert_eq!(fleet.state(SECONDARY, PORT), "healthy");
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_address_that_now_belongs_to_another_machine_is_left_alone() {
    let log = logged();
    let fleet = fleet().by_address().start().await;
    let node = &fleet.nodes[0];
    let running = out_with_two_addresses(&fleet).await;
    // Its interface moves to another machine, which is registered.
    fleet.alb.unassign_address(&node.identity.instance_id, SECONDARY.parse().unwrap());
    fleet.alb.register(&fleet.arn, SECONDARY, PORT);
    let calls = fleet.calls("DeregisterTargets").len();
    let done = finished(running.await.unwrap());
    assert_eq!(done.verdict, Verdict::Succeeded, "{done:?}");
    assert_eq!(fleet.calls("DeregisterTargets").len(), calls);
    let registered = fleet.calls("RegisterTargets");
    let named = registered.iter().flat_map(|call| &call.parameters).any(|(_, value)| value == SECONDARY);
    assert!(!named, "{registered:?}");
    assert_eq!(fleet.state(&node.target_id, PORT), "healthy");
    log.says("is no longer an address of this node");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_without_any_of_its_addresses_left_halts_and_comes_back_once_it_is_registered() {
    let fleet = fleet().by_address().start().await;
    fleet.give_address(0, SECONDARY);
    let node = &fleet.nodes[0];
    // It was registered by its secondary address only.
    fleet.alb.retire(&fleet.arn, &node.target_id);
    register_address(&fleet, SECONDARY);
    until(|| fleet.state(SECONDARY, PORT) == "healthy").await;
    let mut by_secondary = node.clone();
    by_secondary.identity.addresses = vec![SECONDARY.parse().unwrap()];
    let running = crate::driven(&by_secondary, by_secondary.run(&["patch"]));
    until(|| node.phase() == Some(Phase::RunCommand)).await;
    fleet.alb.unassign_address(&node.identity.instance_id, SECONDARY.parse().unwrap());
    until(|| node.phase() == Some(Phase::Halted)).await;
    running.abort();
    let _ = running.await;
    let why = node.operation().unwrap().why_halted();
    assert!(why.contains("none of the addresses that it was registered with is its own any more"), "{why}");
    register(&fleet, 0, PORT);
    let done = finished(by_secondary.resume().await);
    assert_eq!((done.verdict, fleet.state(&node.target_id, PORT)), (Verdict::Succeeded, "healthy".into()));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn without_an_answer_from_the_metadata_service_the_known_addresses_are_used() {
    let fleet = fleet().by_address().start().await;
    let node = &fleet.nodes[0];
    let mut driver = node.driver(Request { stay_out: true, ..node.run(&[]) });
    // A service that knows no such instance answers nothing of use.
    let imds =
        local_alb::in_process::InProcess::new(fleet.alb.aws().instance_metadata("i-00000000000000abc"));
    let http = aws_sdk_elasticloadbalancingv2::config::SharedHttpClient::new(imds);
    let config = aws_config::provider_config::ProviderConfig::without_region().with_http_client(http);
    let silent = node_agent::aws::instance_metadata::metadata().configure(&config);
    driver.addresses = node_agent::aws::instance_metadata::Addresses::by(silent);
    tokio::task::spawn_local(async move { driver.drive().await });
    until(|| node.phase() == Some(Phase::Drained)).await;
    within(Duration::from_secs(1), || fleet.state(&node.target_id, PORT) == "unused").await;
}
