//! How long a node drains, and which of its targets.

use crate::fleet::{finished, fleet, seconds, until, within};
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test(flavor = "local", start_paused = true)]
async fn without_a_count_of_requests_the_whole_delay_is_waited_for_and_no_more() {
    let fleet = fleet().start().await;
    let finished = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
    let seconds =
        |phase| finished.phases.iter().filter(|run| run.phase == phase).map(|run| run.seconds).sum::<f64>();
    let out = seconds(Phase::Deregister) + seconds(Phase::Drain);
    assert!((60.0..61.0).contains(&out), "{out}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_idle_service_ends_the_drain_early_but_not_before_the_floor() {
    let idle = fleet().settings(|s| s.in_flight_url = Some("http://service/in-flight".into())).start().await;
    let began = Instant::now();
    let node = idle.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    until(|| !idle.nodes[0].machine.ran.lock().unwrap().is_empty()).await;
    // Settling of the claim, then the floor.
    let passed = began.elapsed();
    assert!((Duration::from_secs(40)..Duration::from_secs(42)).contains(&passed), "{passed:?}");
    assert_eq!(running.await.unwrap().verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_busy_service_is_waited_for() {
    let busy = fleet().settings(|s| s.in_flight_url = Some("http://service/in-flight".into())).start().await;
    busy.nodes[0].service.in_flight.store(2, Ordering::Relaxed);
    let node = busy.nodes[0].clone();
    let began = Instant::now();
    tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    sleep(Duration::from_secs(50)).await;
    assert!(busy.nodes[0].machine.ran.lock().unwrap().is_empty());
    busy.nodes[0].service.in_flight.store(0, Ordering::Relaxed);
    until(|| !busy.nodes[0].machine.ran.lock().unwrap().is_empty()).await;
    // Idle for the quiet period, without waiting for the rest of the delay.
    let passed = began.elapsed();
    assert!((Duration::from_secs(55)..Duration::from_secs(57)).contains(&passed), "{passed:?}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_request_in_between_begins_the_quiet_period_anew() {
    let fleet = fleet().settings(|s| s.in_flight_url = Some("http://service/in-flight".into())).start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::Drain).await;
    // Idle so far. One comes shortly before the floor is over, and ends as it is.
    sleep(Duration::from_secs(18)).await;
    node.service.in_flight.store(1, Ordering::Relaxed);
    sleep(Duration::from_secs(2)).await;
    node.service.in_flight.store(0, Ordering::Relaxed);
    let idle = within(Duration::from_secs(60), || !node.machine.ran.lock().unwrap().is_empty()).await;
    assert!((5..7).contains(&idle.as_secs()), "{idle:?}");
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn all_ports_of_a_node_leave_and_come_back() {
    let fleet = fleet().ports(&[8080, 8081]).start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::Drain).await;
    assert_eq!(fleet.pairs(0), [(8080, "draining".to_owned()), (8081, "draining".to_owned())]);
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    assert_eq!(fleet.pairs(0), [(8080, "healthy".to_owned()), (8081, "healthy".to_owned())]);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn targets_by_address_are_registered_only_when_they_have_drained() {
    let fleet = fleet()
        .by_address()
        .settings(|s| s.in_flight_url = Some("http://service/in-flight".into()))
        .start()
        .await;
    let watch = fleet.watch();
    let nodes = &fleet.nodes;
    let (a, b) = tokio::join!(nodes[0].finish(nodes[0].reboot()), nodes[1].finish(nodes[1].reboot()));
    assert_eq!((a.verdict, b.verdict), (Verdict::Succeeded, Verdict::Succeeded), "{a:?} {b:?}");
    assert_eq!(watch.most_out(), 1);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_floor_far_longer_than_the_delay_is_waited_for() {
    let fleet = fleet().settings(|s| s.drain_floor = seconds(900)).start().await;
    let began = tokio::time::Instant::now();
    let finished = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
    assert_eq!(finished.verdict, Verdict::Succeeded, "{finished:?}");
    assert!(began.elapsed().as_secs() >= 900);
    fleet.assert_restored();
}
