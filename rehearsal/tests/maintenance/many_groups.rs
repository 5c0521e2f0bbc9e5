//! An account with more target groups than its bucket has calls for. None is named: one of them has the tag.

use crate::fleet::{Builder, Fleet, fleet, logged};
use local_alb::{Bucket, Buckets, Faults, TargetGroupSettings};
use node_agent::record::Verdict;
use std::time::Duration;
use tokio::time::Instant;

fn not_named() -> Builder {
    fleet().tag("managed", "true").settings(|s| s.target_groups.clear())
}

/// Target groups of other teams.
fn add_others(fleet: &Fleet, how_many: usize) -> Vec<String> {
    let create = |number: usize| {
        let name = format!("other-{number:04}");
        fleet.alb.create_target_group(TargetGroupSettings { name, ..TargetGroupSettings::default() }).unwrap()
    };
    (0..how_many).map(create).collect()
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_search_that_is_throttled_goes_on_where_it_was() {
    let log = logged();
    let fleet = not_named().start().await;
    add_others(&fleet, 1200);
    // What AWS had until March 2026; its bucket of today is empty whenever something else in the account needs it.
    let describe = Bucket { burst: 40.0, per_second: 10.0 };
    let throttle = Some(Buckets { describe, ..Buckets::default() });
    fleet.alb.set_faults(Faults { throttle, ..Faults::default() });
    let begun = Instant::now();
    let finished = fleet.nodes[0].finish(fleet.nodes[0].run(&["true"])).await;
    assert_eq!(finished.verdict, Verdict::Succeeded, "{finished:?}");
    let throttled = fleet.alb.calls().iter().filter(|call| call.answer == "Throttling").count();
    assert!(throttled > 0 && throttled < 40, "{throttled} calls were throttled");
    assert_eq!(fleet.calls("DescribeTargetGroups").len(), 4, "each page is read once");
    assert!(begun.elapsed() < Duration::from_secs(180), "{:?}", begun.elapsed());
    log.says("the API is throttling this account");
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_search_that_is_throttled_can_be_stopped() {
    let fleet = not_named().start().await;
    add_others(&fleet, 1200);
    let none = Bucket { burst: 30.0, per_second: 0.0 };
    let throttle = Some(Buckets { describe: none, ..Buckets::default() });
    fleet.alb.set_faults(Faults { throttle, ..Faults::default() });
    let node = &fleet.nodes[0];
    let (finished, ()) = tokio::join!(node.finish(node.run(&["true"])), async {
        tokio::time::sleep(Duration::from_secs(300)).await;
        node.ask_to_stop();
    });
    assert_eq!(finished.verdict, Verdict::NothingChanged, "{finished:?}");
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn somebody_elses_group_that_is_deleted_during_the_search_is_left_out() {
    let fleet = not_named().start().await;
    let others = add_others(&fleet, 30);
    fleet.alb.change_faults(|faults| faults.latency = Duration::from_secs(1));
    let node = &fleet.nodes[0];
    let (finished, ()) = tokio::join!(node.finish(node.run(&["true"])), async {
        // The groups were described, and their tags are not read yet.
        crate::fleet::until(|| fleet.calls("DescribeTargetGroups").len() == 1).await;
        fleet.alb.delete_target_group(&others[7]);
    });
    assert_eq!(finished.verdict, Verdict::Succeeded, "{finished:?}");
    let refused = fleet.calls("DescribeTags").iter().any(|call| call.answer == "TargetGroupNotFound");
    assert!(refused, "the group was deleted too late for this test");
}
