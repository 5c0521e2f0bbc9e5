//! A shutdown that no maintenance requested, while the node is out.

use crate::fleet::{PORT, fleet, logged, until};
use crate::{NEW_PORT, driven, is_registered, register};
use node_agent::machine::systemd::GoingDown;
use node_agent::maintenance::context::End;
use node_agent::record::phase::Phase;
use node_agent::record::{RebootWhen, Request, Verdict};
use std::time::Duration;

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_guard_drains_a_node_that_was_registered_again_in_any_phase_and_with_any_port() {
    for phase in [Phase::Deregister, Phase::Drain, Phase::Drained, Phase::RunCommand, Phase::Reboot] {
        for port in [PORT, NEW_PORT] {
            let fleet = fleet().start().await;
            let node = &fleet.nodes[0];
            node.machine.obeys.store(false, std::sync::atomic::Ordering::Relaxed);
            *node.machine.command.lock().unwrap() = (Duration::from_secs(60), 0);
            let running = match phase {
                Phase::Drained => driven(node, Request { stay_out: true, ..node.run(&[]) }),
                _ => driven(node, node.request(RebootWhen::Always, &["patch"])),
            };
            until(|| node.phase() == Some(phase)).await;
            tokio::time::sleep(Duration::from_secs(10)).await;
            running.abort();
            let _ = running.await;
            register(&fleet, 0, port);
            node.leave_before(GoingDown::Reboot).await;
            assert!(!is_registered(&fleet, 0, port), "{phase}, {port}");
            assert_eq!(fleet.state(&node.target_id, port), "unused", "{phase}, {port}");
        }
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_guard_drains_a_node_that_was_registered_in_another_managed_group() {
    let log = logged();
    let managed = fleet().two_groups().settings(|s| s.target_groups = Vec::new()).tag("managed", "true");
    let fleet = managed.start().await;
    let node = &fleet.nodes[0];
    // Not in the second group when it is taken out.
    fleet.alb.retire(&fleet.arns[1], &node.target_id);
    tokio::time::sleep(Duration::from_secs(90)).await;
    let running = driven(node, Request { stay_out: true, ..node.run(&[]) });
    until(|| node.phase() == Some(Phase::Drained)).await;
    running.abort();
    let _ = running.await;
    fleet.alb.register(&fleet.arns[1], &node.target_id, NEW_PORT);
    node.leave_before(GoingDown::Reboot).await;
    let targets = fleet.alb.targets(&fleet.arns[1]).into_iter();
    let states: Vec<_> = targets.filter(|t| t.port == NEW_PORT).map(|t| t.state.to_string()).collect();
    assert_eq!(states, ["unused"]);
    node.boot().await;
    assert_eq!(node.resume().await, End::Drained, "it was told to stay out");
    let back = crate::fleet::finished(node.resume().await);
    assert_eq!(back.verdict, Verdict::Succeeded, "{back:?}");
    assert_eq!(fleet.state(&node.target_id, PORT), "healthy");
    log.says("this node was registered in");
}
