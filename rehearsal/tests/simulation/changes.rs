//! The fleet changes while it rolls: nodes join, leave, and run another version.

use crate::fleet::{self, Fleet, Node, fleet};
use node_agent::record::Verdict;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// A roll of six, one node after the other, with something happening to the fleet meanwhile.
async fn rolling(meanwhile: impl AsyncFnOnce(&Fleet)) -> (Fleet, usize, Vec<Verdict>) {
    let fleet = fleet().nodes(6).start().await;
    let watch = fleet.watch();
    let mut tasks = JoinSet::new();
    let maintained = |node: &Node| {
        let node = node.clone();
        async move { node.finish(node.reboot()).await.verdict }
    };
    for node in &fleet.nodes[..5] {
        tasks.spawn_local(maintained(node));
    }
    sleep(Duration::from_secs(200)).await;
    meanwhile(&fleet).await;
    let verdicts = tasks.join_all().await;
    let most_out = watch.most_out();
    (fleet, most_out, verdicts)
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_that_joins_while_the_roll_runs_takes_its_turn() {
    let (fleet, most_out, verdicts) = rolling(async |fleet| {
        let late = &fleet.nodes[5];
        assert_eq!(late.finish(late.reboot()).await.verdict, Verdict::Succeeded);
    })
    .await;
    assert_eq!(verdicts, [Verdict::Succeeded; 5]);
    assert_eq!(most_out, 1);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_that_leaves_for_good_does_not_stop_the_roll() {
    let (fleet, most_out, verdicts) = rolling(async |fleet| {
        let gone = &fleet.nodes[5];
        fleet.alb.retire(&fleet.arn, &gone.target_id);
    })
    .await;
    assert_eq!(verdicts, [Verdict::Succeeded; 5]);
    assert_eq!(most_out, 1);
    assert_eq!(fleet.leases().len(), 0);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn nodes_of_the_next_version_and_of_this_one_respect_each_other() {
    let (fleet, most_out, verdicts) = rolling(async |fleet| {
        // A newer agent claims when it sees nobody, with fields that this version does not know.
        let key = format!("node-agent/lease/{}", fleet.nodes[5].identity.instance_id);
        fleet::until(|| fleet.leases().values().all(|lease| !lease.contains("p=held"))).await;
        fleet.alb.set_tag(&fleet.arn, &key, "v2 mode=blue p=held e=77 k=1 since=now");
        sleep(Duration::from_secs(20)).await;
        if fleet.leases().values().filter(|lease| lease.contains("p=held")).count() == 1 {
            fleet.alb.deregister(&fleet.arn, &fleet.nodes[5].target_id, fleet::PORT);
            sleep(Duration::from_secs(90)).await;
            fleet.alb.register(&fleet.arn, &fleet.nodes[5].target_id, fleet::PORT);
            fleet.until_in_service().await;
        }
        fleet.alb.remove_tag(&fleet.arn, &key);
    })
    .await;
    assert_eq!(verdicts, [Verdict::Succeeded; 5]);
    assert_eq!(most_out, 1);
    fleet.assert_restored();
}
