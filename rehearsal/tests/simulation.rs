//! Whole fleets on a paused clock, with the driver and the lease code that ship: seeded, so that a failure can be played
//! again from the seed that it prints.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests say what they expect by panicking"
)]

mod fleet;

use fleet::{Fleet, Node, fleet, seconds};
use local_alb::{Bucket, Buckets, Fault, Faults};
use node_agent::driver::End;
use node_agent::phase::Phase;
use node_agent::record::{Finished, Verdict};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fmt;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// What one roll through a fleet cost.
#[derive(Debug, Clone, Copy)]
struct Figures {
    calls_per_node: f64,
    /// Over N/K x hold, the least that is possible.
    makespan: f64,
    throttled: f64,
    most_out: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { calls_per_node, makespan, throttled, most_out } = self;
        let throttled = throttled * 100.0;
        write!(
            f,
            "{calls_per_node:.1} calls per node, makespan {makespan:.3}, {throttled:.1} % throttled, {most_out} out at most"
        )
    }
}

/// Every node asks at once for a maintenance that keeps it out for about 120 s; 10 requests/s for all of them.
async fn roll(seed: u64, nodes: usize, slots: usize, settle: u64) -> Figures {
    let fleet = fleet()
        .nodes(nodes)
        .seed(seed)
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
        *node.machine.command.lock().unwrap() = (Duration::from_secs(40), 0);
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
        makespan: took / (as_f64(nodes) / as_f64(slots) * hold),
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

/// What goes wrong in one run, all of it drawn from its seed.
#[derive(Debug, Clone)]
struct Trouble {
    nodes: usize,
    slots: usize,
    faults: Faults,
    crashes: u32,
    late: u32,
    wipes: bool,
}

impl Trouble {
    fn of(random: &mut StdRng) -> Trouble {
        let nodes = random.random_range(3..=6);
        let throttle = random
            .random_bool(0.3)
            .then(|| Buckets { shared: Some(Bucket { burst: 10.0, per_second: 2.0 }), ..Buckets::default() });
        Trouble {
            nodes,
            slots: random.random_range(1..=2),
            faults: Faults {
                latency: Duration::from_millis(random.random_range(0..=300)),
                throttle,
                error_rate: random.random_range(0.0..=0.05),
                lost_answer_rate: random.random_range(0.0..=0.05),
                refuse: false,
                stale_tags: Duration::from_millis(random.random_range(0..=5000)),
                stale_health: Duration::from_millis(random.random_range(0..=5000)),
            },
            crashes: random.random_range(0..=2),
            late: random.random_range(0..=2),
            wipes: random.random_bool(0.3),
        }
    }
}

/// Plays one seed. Whatever happens: never more than K out, everybody back, no slot left taken, no command run twice.
async fn survive(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let trouble = Trouble::of(&mut random);
    let fleet = fleet()
        .nodes(trouble.nodes)
        .seed(seed)
        .tag("max-unavailable", &trouble.slots.to_string())
        .tag("fleet-size", &trouble.nodes.to_string())
        .tag("max-failures", "1000")
        // With tags wiped, D has to outlast stale tags, the call, and stale health.
        .settings(|s| s.settle = seconds(if trouble.wipes { 15 } else { 10 }))
        .start()
        .await;
    fleet.alb.set_faults(trouble.faults.clone());
    for _ in 0..trouble.late {
        let action = ["AddTags", "RemoveTags", "DeregisterTargets"][random.random_range(0..3)];
        let late = Fault::LandsLate(Duration::from_secs(random.random_range(1..=840)));
        fleet.alb.script(action, late, 1);
    }
    let watch = fleet.watch_every(Duration::from_millis(500));
    let mut tasks = JoinSet::new();
    for node in fleet.nodes.clone() {
        let (random, crashes) = (StdRng::seed_from_u64(random.random()), trouble.crashes);
        tasks.spawn_local(maintained(node, random, crashes));
    }
    let vandal = trouble
        .wipes
        .then(|| tokio::task::spawn_local(wipe(fleet.alb.clone(), fleet.arn.clone(), random.random())));
    tasks.join_all().await;
    if let Some(vandal) = vandal {
        vandal.abort();
    }
    fleet.alb.set_faults(Faults::default());
    fleet.until_in_service().await;
    assert!(watch.most_out() <= trouble.slots, "seed {seed}: {} out; {trouble:?}", watch.most_out());
    for (id, lease) in fleet.leases() {
        assert!(lease.contains("p=failed"), "seed {seed}: {id} {lease}; {trouble:?}");
    }
}

/// One node until its maintenance has been done, however often its agent or the machine dies on the way.
async fn maintained(node: Node, mut random: StdRng, mut crashes: u32) {
    for attempt in 0.. {
        let mut request = node.reboot();
        request.id = format!("{}-{attempt}", request.id);
        request.command = vec!["patch".to_owned(), request.id.clone()];
        let mut driver = node.driver(request.clone());
        let end = loop {
            let crash = Duration::from_secs(random.random_range(0..=400));
            let down = node.machine.down.notified();
            tokio::select! {
                end = driver.drive() => break end.unwrap(),
                () = down => {
                    drop(driver);
                    node.boot().await;
                }
                () = sleep(crash), if crashes > 0 => {
                    crashes -= 1;
                    drop(driver);
                    sleep(Duration::from_secs(random.random_range(0..=120))).await;
                    // A machine that crashes in service takes its service with it; no lease prevents that.
                    // Nothing on record: it died before it had begun.
                    let Some(operation) = node.operation() else { return Box::pin(maintained(node, random, crashes)).await };
                    let out = operation.out && operation.phase < Phase::ReleaseLease;
                    if out && random.random_bool(0.5) {
                        node.boot().await;
                    }
                }
            }
            driver = node.resumed();
        };
        let times = node.machine.ran.lock().unwrap().iter().filter(|ran| ran.ends_with(&request.id)).count();
        assert!(times <= 1, "the command of one operation was run {times} times");
        match end {
            End::Finished(finished) if finished.verdict == Verdict::NothingChanged => continue,
            End::Finished(_) => return,
            other => panic!("{other:?}"),
        }
    }
}

/// Somebody who manages the group's tags takes the leases for a mistake, now and then.
async fn wipe(alb: local_alb::LocalAlb, arn: String, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    loop {
        sleep(Duration::from_secs(random.random_range(60..=600))).await;
        for key in alb.tags(&arn).into_keys().filter(|key| key.starts_with("node-agent/lease/")) {
            alb.remove_tag(&arn, &key);
        }
    }
}

async fn survive_all(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        // Printed only when the test fails, so that the last line names the culprit.
        println!("seed {seed}");
        survive(seed).await;
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn small_fleets_survive_whatever_the_seed_brings() {
    survive_all(0..12).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
#[ignore = "thousands of runs: scripts/check-lease"]
async fn small_fleets_survive_thousands_of_seeds() {
    let seeds = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(2000);
    survive_all(1000..1000 + seeds).await;
    println!("{seeds} runs: never more than K out, everybody back");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_roll_of_ten_and_of_a_hundred_wastes_little() {
    for (nodes, slots) in [(10, 1), (100, 4)] {
        let figures = roll(1, nodes, slots, 10).await;
        println!("{nodes} nodes, K {slots}: {figures}");
        assert!(figures.most_out <= slots, "{figures}");
        assert!(figures.makespan < 1.35, "{figures}");
        assert!(figures.throttled <= 0.05, "{figures}");
    }
}

/// The figures of the design study: at most 41 calls per node and 1.22 with D = 10 s, 40.5 and 1.17 with D = 5 s.
async fn thousand(settle: u64, calls: f64, makespan: f64) {
    for seed in 1..=10 {
        let figures = roll(seed, 1000, 10, settle).await;
        println!("1000 nodes, K 10, D {settle} s, seed {seed}: {figures}");
        assert!(figures.most_out <= 10 && figures.throttled <= 0.05, "seed {seed}: {figures}");
        assert!(figures.calls_per_node <= calls && figures.makespan <= makespan, "seed {seed}: {figures}");
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
#[ignore = "minutes: scripts/check-lease"]
async fn a_thousand_nodes_meet_the_figures_with_a_settle_time_of_ten_seconds() {
    thousand(10, 41.0, 1.22).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
#[ignore = "minutes: scripts/check-lease"]
async fn a_thousand_nodes_meet_the_figures_with_a_settle_time_of_five_seconds() {
    thousand(5, 40.5, 1.17).await;
}

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
