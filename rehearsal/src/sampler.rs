//! Samples the load balancer's state of every node while a scenario plays, and updates the live view.

use std::{sync::Arc, time::Duration};

use local_alb::LocalAlb;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};

use crate::{
    agent,
    clock::Clock,
    load::Tally,
    node::Activity,
    place::Place,
    summary::Span,
    view::{NodeView, Snapshot, View},
};

/// Shorter than any relevant state lasts.
const SAMPLE_EVERY: Duration = Duration::from_millis(50);
const SHOW_EVERY: Duration = Duration::from_millis(250);
/// The view shows rates averaged over this time.
const RATES_OVER: Duration = Duration::from_secs(1);

/// What the sampler reads.
#[derive(Debug)]
pub(crate) struct Watched {
    pub alb: LocalAlb,
    pub target_group: String,
    pub nodes: Vec<(Place, watch::Receiver<Activity>)>,
    pub tally: Arc<Tally>,
    pub clock: Clock,
}

/// The result of the sampling.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    /// The most nodes that were out of service at one time, as the load balancer counts at each change.
    pub max_nodes_out: usize,
    /// When each node was out of service, in the order of the nodes.
    pub out_of_rotation: Vec<Vec<Span>>,
}

/// Samples until `stop` is true.
pub(crate) async fn sample(watched: Watched, mut view: View, mut stop: watch::Receiver<bool>) -> Samples {
    let mut samples = Samples { max_nodes_out: 0, out_of_rotation: vec![Vec::new(); watched.nodes.len()] };
    watched.alb.watch_most_out(&watched.target_group);
    let mut rates = Rates::new();
    let mut shown = Instant::now();
    let mut previous = watched.clock.now();
    let mut tick = tokio::time::interval(SAMPLE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            // An error means that the sender is gone, which also stops the sampling.
            _ = stop.wait_for(|&stop| stop) => break,
            _ = tick.tick() => {}
        }
        let now = watched.clock.now();
        samples.add(&watched, previous, now);
        previous = now;
        rates.update(&watched.tally);
        if shown.elapsed() >= SHOW_EVERY {
            shown = Instant::now();
            view.show(&watched.snapshot(&rates));
        }
    }
    view.close();
    samples.max_nodes_out = watched.alb.most_out(&watched.target_group);
    samples
}

impl Samples {
    fn add(&mut self, watched: &Watched, previous: f64, now: f64) {
        for ((place, _), spans) in watched.nodes.iter().zip(&mut self.out_of_rotation) {
            if !in_service(&watched.alb, &watched.target_group, place) {
                extend(spans, previous, now);
            }
        }
    }
}

/// Adds the time between two samples to `spans`.
#[expect(clippy::float_cmp, reason = "the end of the last span is a copy of the same number")]
fn extend(spans: &mut Vec<Span>, from: f64, to: f64) {
    match spans.last_mut() {
        Some(last) if last.to == from => last.to = to,
        _ => spans.push(Span { from, to }),
    }
}

impl Watched {
    fn snapshot(&self, rates: &Rates) -> Snapshot {
        let nodes = self.nodes.iter().map(|(place, activity)| {
            let activity = *activity.borrow();
            NodeView {
                name: place.name.clone(),
                phase: phase(place, activity),
                state: state(&self.alb, &self.target_group, place),
            }
        });
        Snapshot {
            now: self.clock.now(),
            requests_per_second: rates.requests,
            failures_per_second: rates.failures,
            requests: self.tally.ended(),
            failed: self.tally.failed(),
            nodes: nodes.collect(),
        }
    }
}

/// The load balancer's name for the state of the node's target.
fn state(alb: &LocalAlb, target_group: &str, place: &Place) -> String {
    let target = alb.targets(target_group).into_iter().find(|target| target.id == place.instance_id);
    target.map_or_else(|| "not registered".to_owned(), |target| target.state.to_string())
}

pub(crate) fn in_service(alb: &LocalAlb, target_group: &str, place: &Place) -> bool {
    state(alb, target_group, place) == "healthy"
}

/// What a node is doing. During a reboot, its record still has the phase before the reboot.
fn phase(place: &Place, activity: Activity) -> String {
    match (activity, agent::phase(place)) {
        (Activity::Rebooting, _) => "rebooting".to_owned(),
        (_, Some(phase)) => phase.to_string(),
        (Activity::Starting, None) => "starting".to_owned(),
        (Activity::Serving, None) => "serving".to_owned(),
    }
}

/// Requests and failures per second, over the last second or a little more.
struct Rates {
    since: Instant,
    ended: u64,
    failed: u64,
    requests: f64,
    failures: f64,
}

impl Rates {
    fn new() -> Self {
        Self { since: Instant::now(), ended: 0, failed: 0, requests: 0.0, failures: 0.0 }
    }

    fn update(&mut self, tally: &Tally) {
        let elapsed = self.since.elapsed();
        if elapsed >= RATES_OVER {
            let (ended, failed) = (tally.ended(), tally.failed());
            self.requests = per_second(ended.saturating_sub(self.ended), elapsed);
            self.failures = per_second(failed.saturating_sub(self.failed), elapsed);
            (self.since, self.ended, self.failed) = (Instant::now(), ended, failed);
        }
    }
}

fn per_second(count: u64, elapsed: Duration) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from) / elapsed.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_samples_make_one_span() {
        let mut spans = Vec::new();
        for (from, to) in [(1.0, 1.05), (1.05, 1.1), (3.0, 3.05)] {
            extend(&mut spans, from, to);
        }
        assert_eq!(spans, [Span { from: 1.0, to: 1.1 }, Span { from: 3.0, to: 3.05 }]);
    }
}
