//! Availability Zones: a zonal shift takes capacity away, and without cross-zone load balancing each zone needs its own.

use crate::fleet::{Fleet, PORT, finished, fleet, logged, seconds, within};
use local_alb::Instance;
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;
use std::time::Duration;
use tokio::time::Instant;

const SHIFTS: [&str; 2] = ["zonal_shift_active", "zonal_shift_delegated_to_dns"];

/// Puts a node, from 0, into a zone.
fn put(fleet: &Fleet, node: usize, zone: &str) {
    let identity = &fleet.nodes[node].identity;
    let address = identity.addresses[0];
    fleet.alb.add_instance(Instance { id: identity.instance_id.clone(), address, zone: zone.into() });
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn nobody_leaves_while_the_zone_of_another_node_is_shifted_away() {
    for shift in SHIFTS {
        let fleet = fleet().settings(|s| s.lease_wait = seconds(300)).start().await;
        put(&fleet, 1, "us-east-1b");
        fleet.alb.shift_zone("us-east-1b", Some(shift));
        let ended = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
        assert_eq!((ended.verdict, ended.exit_code), (Verdict::NothingChanged, 75));
        let (reason, shifted) = (ended.reason.unwrap(), &fleet.nodes[1].identity.instance_id);
        assert!(reason.contains(&format!("{shifted} ({shift})")), "{reason}");
        assert_eq!((fleet.calls("AddTags").len(), fleet.calls("DeregisterTargets").len()), (0, 0));

        fleet.alb.shift_zone("us-east-1b", None);
        let next = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
        assert_eq!(next.verdict, Verdict::Succeeded);
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_in_a_zone_that_is_shifted_away_is_maintained_and_comes_back() {
    let fleet = fleet().start().await;
    put(&fleet, 0, "us-east-1b");
    fleet.alb.shift_zone("us-east-1b", Some("zonal_shift_active"));
    let ended = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
    assert_eq!(ended.verdict, Verdict::Succeeded);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_zonal_shift_of_everything_keeps_no_node_out_that_has_left() {
    let fleet = fleet().start().await;
    let node = fleet.nodes[0].clone();
    *node.machine.command.lock().unwrap() = (Duration::from_secs(30), 0);
    let asked = node.clone();
    let running = tokio::task::spawn_local(async move { asked.maintain(asked.run(&["patch"])).await });
    let at_the_command = || node.operation().is_some_and(|operation| operation.phase == Phase::RunCommand);
    within(Duration::from_secs(300), at_the_command).await;
    fleet.alb.shift_zone("us-east-1a", Some("zonal_shift_active"));
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    assert_eq!(fleet.pairs(0), [(PORT, "healthy".to_owned())]);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn with_cross_zone_off_and_unknown_zones_a_maintenance_is_refused_at_once() {
    let log = logged();
    let fleet = fleet().attribute("load_balancing.cross_zone.enabled", "false").start().await;
    let began = Instant::now();
    let ended = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
    assert_eq!((ended.verdict, ended.exit_code), (Verdict::NothingChanged, 2));
    assert!(ended.reason.unwrap().contains("--ignore-zones"));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(fleet.calls("AddTags").len(), 0, "no lease is claimed");

    let ignoring = crate::fleet::fleet().attribute("load_balancing.cross_zone.enabled", "false");
    let fleet = ignoring.settings(|s| s.ignore_zones = true).start().await;
    let ended = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
    assert_eq!(ended.verdict, Verdict::Succeeded);
    log.says("the load balancer does not report the zones");
}
