//! The policy is read when it matters: changed in the middle of a roll it counts from the next decision on, without
//! restarting anything. On a paused clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod fleet;

use fleet::{Fleet, fleet, until};
use node_agent::record::phase::Phase;
use node_agent::record::{Finished, Verdict};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

const K: &str = "node-agent/max-unavailable";

/// All nodes of a fleet asked at once, and how many have ended.
struct Roll {
    running: JoinSet<Finished>,
    ended: Rc<Cell<usize>>,
}

fn roll(fleet: &Fleet) -> Roll {
    let (mut running, ended) = (JoinSet::new(), Rc::new(Cell::new(0)));
    for node in fleet.nodes.clone() {
        let ended = ended.clone();
        running.spawn_local(async move {
            let finished = node.finish(node.run(&["patch"])).await;
            ended.set(ended.get() + 1);
            finished
        });
    }
    Roll { running, ended }
}

impl Roll {
    async fn ends_well(self) {
        for finished in self.running.join_all().await {
            assert_eq!(finished.verdict, Verdict::Succeeded, "{finished:#?}");
        }
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn raised_in_the_middle_of_a_roll_three_go_at_a_time_from_then_on() {
    let fleet = fleet().nodes(6).start().await;
    let roll = roll(&fleet);
    let before = fleet.watch();
    until(|| roll.ended.get() == 2).await;
    assert_eq!(before.most_out(), 1);

    fleet.alb.set_tag(&fleet.arn, K, "3");
    let after = fleet.watch();
    until(|| fleet.alb.instances_out(&fleet.arn) == 3).await;
    // The holder that went by 1 had left first.
    assert!(fleet.leases().values().filter(|tag| tag.contains("p=held")).all(|tag| tag.contains("k=3")));
    roll.ends_well().await;
    assert_eq!(after.most_out(), 3);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn lowered_in_the_middle_of_a_roll_it_acts_at_once() {
    let fleet = fleet().nodes(6).tag("max-unavailable", "3").start().await;
    let roll = roll(&fleet);
    // Past the look that each takes after leaving: before it, they would turn back.
    let draining = || fleet.nodes.iter().filter(|node| node.phase() == Some(Phase::Drain)).count();
    until(|| draining() == 3).await;

    fleet.alb.set_tag(&fleet.arn, K, "1");
    // Those that are out come back; nobody else leaves before they have.
    until(|| fleet.alb.instances_out(&fleet.arn) == 0).await;
    let after = fleet.watch();
    roll.ends_well().await;
    assert_eq!(after.most_out(), 1);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn paused_in_the_middle_of_a_roll_those_out_come_back_and_nobody_else_starts() {
    let fleet = fleet().nodes(3).start().await;
    let roll = roll(&fleet);
    until(|| fleet.alb.instances_out(&fleet.arn) == 1).await;
    fleet.alb.set_tag(&fleet.arn, "node-agent/paused", "release day");
    until(|| fleet.alb.instances_out(&fleet.arn) == 0).await;
    let after = fleet.watch();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(after.most_out(), 0);
    let mut verdicts: Vec<_> = roll.running.join_all().await.iter().map(|f| f.verdict).collect();
    verdicts.sort_by_key(|verdict| *verdict as usize);
    assert_eq!(verdicts, [Verdict::Succeeded, Verdict::NothingChanged, Verdict::NothingChanged]);
    assert_eq!(fleet.leases().len(), 0);
}
