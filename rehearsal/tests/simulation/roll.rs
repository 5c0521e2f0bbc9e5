//! A whole fleet rolls, everybody told at the same moment: what that costs.

use crate::fleet::{fleet, seconds};
use crate::seeds::on_all_cores;
use local_alb::{Bucket, Buckets, Faults};
use node_agent::record::phase::Phase;
use node_agent::record::{Finished, Verdict};
use std::fmt;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What one roll through a fleet cost.
#[derive(Debug, Clone, Copy)]
struct Figures {
    calls_per_node: f64,
    /// How long a node was out on average, from DeregisterTargets to the lease given back.
    hold: f64,
    /// From the first request to the last node back, over N/K x 120 s.
    makespan: f64,
    throttled: f64,
    most_out: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { calls_per_node, hold, makespan, throttled, most_out } = self;
        let throttled = throttled * 100.0;
        write!(
            f,
            "{calls_per_node:.1} calls per node in all, makespan {makespan:.3} x N/K x 120 s (out for {hold:.1} s each), \
             {throttled:.1} % throttled, {most_out} out at most"
        )
    }
}

/// How long a node is out, in seconds: what the makespan is measured by.
const HOLD: f64 = 120.0;

/// Every node asks at once for a maintenance that keeps it out for about 120 s; 10 requests/s for all of them.
async fn play(roll: Roll) -> Figures {
    let Roll { seed, nodes, slots, settle, command } = roll;
    let fleet = fleet()
        .nodes(nodes)
        .seed(seed)
        .check_every(Duration::from_secs(30))
        .tag("max-unavailable", &slots.to_string())
        .settings(|s| {
            s.settle = seconds(settle);
            s.lease_wait = seconds(86_400);
            s.expected_hold = Some(seconds(120));
        })
        .start()
        .await;
    let shared = Some(Bucket { burst: 40.0, per_second: 10.0 });
    fleet.alb.set_faults(Faults {
        latency: Duration::from_millis(50),
        throttle: Some(Buckets { shared, ..Buckets::default() }),
        ..Faults::default()
    });
    let watch = fleet.watch_every(Duration::from_secs(1));
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for node in fleet.nodes.clone() {
        // Settling, draining and coming back take the rest of the hold.
        *node.machine.command.lock().unwrap() = (Duration::from_secs(command), 0);
        node.has_seen_a_fleet_of(nodes);
        tasks.spawn_local(async move { node.finish(node.run(&["patch"])).await });
    }
    let mut held = 0.0;
    while let Some(finished) = tasks.join_next().await {
        let finished = finished.unwrap();
        assert_eq!(finished.verdict, Verdict::Succeeded, "seed {seed}: {finished:?}");
        held += time_out(&finished);
    }
    let took = began.elapsed().as_secs_f64();
    fleet.assert_restored();
    let calls = fleet.alb.calls();
    let throttled = calls.iter().filter(|call| call.answer == "Throttling").count();
    let hold = held / as_f64(nodes);
    Figures {
        calls_per_node: as_f64(calls.len()) / as_f64(nodes),
        hold,
        makespan: took / (as_f64(nodes) / as_f64(slots) * HOLD),
        throttled: as_f64(throttled) / as_f64(calls.len()),
        most_out: watch.most_out(),
    }
}

/// From DeregisterTargets to the end.
fn time_out(finished: &Finished) -> f64 {
    finished.phases.iter().skip_while(|run| run.phase != Phase::Deregister).map(|run| run.seconds).sum()
}

fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

/// One fleet of many.
#[derive(Debug, Clone, Copy)]
struct Roll {
    seed: u64,
    nodes: usize,
    slots: usize,
    settle: u64,
    /// How long the command takes: with it a hold is just over [`HOLD`]. With more slots nodes look less often, and
    /// come back a little later.
    command: u64,
}

/// What a roll may cost.
struct Target {
    calls_per_node: f64,
    makespan: f64,
}

#[test]
fn a_roll_of_ten_and_of_a_hundred_wastes_little() {
    // With one slot each of them has a long wait near the head of the queue, where looks are frequent.
    meets(
        &[Roll { seed: 1, nodes: 10, slots: 1, settle: 10, command: 52 }],
        &Target { calls_per_node: 67.0, makespan: 1.15 },
    );
    meets(
        &[Roll { seed: 1, nodes: 100, slots: 4, settle: 10, command: 49 }],
        &Target { calls_per_node: 50.0, makespan: 1.2 },
    );
}

/// The figures of the design study.
#[test]
#[ignore = "minutes: scripts/check-lease"]
fn a_thousand_nodes_meet_the_figures() {
    let seeds: u64 = std::env::var("ROLLS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(10);
    let rolls = |settle| {
        (1..=seeds)
            .map(move |seed| Roll { seed, nodes: 1000, slots: 10, settle, command: 48 })
            .collect::<Vec<_>>()
    };
    meets(&rolls(10), &Target { calls_per_node: 43.0, makespan: 1.22 });
    meets(&rolls(5), &Target { calls_per_node: 42.5, makespan: 1.17 });
}

fn meets(rolls: &[Roll], target: &Target) {
    let played = on_all_cores(rolls, async |roll| {
        let figures = play(*roll).await;
        println!("{roll}: {figures}");
        figures
    });
    for (roll, figures) in rolls.iter().zip(played) {
        assert!(figures.most_out <= roll.slots && figures.throttled <= 0.05, "{roll}: {figures}");
        assert!(figures.calls_per_node <= target.calls_per_node, "{roll}: {figures}");
        // Shorter holds would flatter the makespan.
        assert!(figures.hold >= HOLD, "{roll}: {figures}");
        assert!(figures.makespan <= target.makespan, "{roll}: {figures}");
    }
}

impl fmt::Display for Roll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Roll { seed, nodes, slots, settle, .. } = self;
        write!(f, "{nodes:>5} nodes, K {slots}, D {settle} s, seed {seed}")
    }
}
