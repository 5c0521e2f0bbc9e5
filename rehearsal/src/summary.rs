//! Turns the measurements of a scenario into its report. Without I/O.

use crate::{
    load::{Load, Request},
    report::{Latency, Node, Scenario},
};

/// A span of the scenario in seconds since it began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub from: f64,
    pub to: f64,
}

impl Span {
    pub(crate) fn seconds(self) -> f64 {
        self.to - self.from
    }
}

/// The sum of `spans`, rounded to milliseconds.
pub(crate) fn total(spans: &[Span]) -> f64 {
    rounded(spans.iter().fold(0.0, |sum, span| sum + span.seconds()))
}

/// How long `spans` are not covered by `cover`, which is in order and without overlaps; rounded to milliseconds.
pub(crate) fn uncovered(spans: &[Span], cover: &[Span]) -> f64 {
    let covered = |span: &Span| {
        let overlaps = cover.iter().map(|other| span.to.min(other.to) - span.from.max(other.from));
        overlaps.filter(|seconds| *seconds > 0.0).sum::<f64>()
    };
    rounded(spans.iter().map(|span| span.seconds() - covered(span)).sum())
}

/// Rounds seconds for the report.
pub(crate) fn rounded(seconds: f64) -> f64 {
    (seconds * 1_000.0).round() / 1_000.0
}

pub(crate) fn scenario(load: &Load, max_nodes_out: usize, nodes: Vec<Node>) -> Scenario {
    let mut scenario = Scenario {
        max_nodes_out,
        nodes,
        sent: load.sent.len() as u64,
        latency_ms: latency(&load.requests),
        longest_gap_s: rounded(longest_gap(&load.sent)),
        lowest_rate: rounded(lowest_rate(load)),
        ..Scenario::default()
    };
    for request in &load.requests {
        let failed = request.outcome.is_failure();
        scenario.requests += 1;
        scenario.failed += u64::from(failed);
        if failed {
            *scenario.failed_by_status.entry(request.outcome.to_string()).or_default() += 1;
        }
        scenario.duration_s = scenario.duration_s.max(rounded(request.ended));
        count_at(&mut scenario.requests_per_second, request.due, 1);
        count_at(&mut scenario.failures_per_second, request.due, u32::from(failed));
    }
    scenario
}

/// Of the requests that were answered and are not slow on purpose.
fn latency(requests: &[Request]) -> Latency {
    let answered = requests.iter().filter(|request| !request.slow && !request.outcome.is_failure());
    let mut took: Vec<f64> =
        answered.map(|request| rounded((request.ended - request.due) * 1_000.0)).collect();
    took.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        let place = (took.len() * percent).div_ceil(100).saturating_sub(1);
        took.get(place).copied().unwrap_or_default()
    };
    Latency { p50: at(50), p99: at(99), max: at(100) }
}

/// The longest time between two requests that were sent.
fn longest_gap(sent: &[f64]) -> f64 {
    sent.iter().zip(sent.iter().skip(1)).map(|(earlier, later)| later - earlier).fold(0.0, f64::max)
}

/// The fewest requests that were sent in a whole second, as a fraction of the rate.
fn lowest_rate(load: &Load) -> f64 {
    let (Some(first), Some(last)) = (load.sent.first(), load.sent.last()) else { return 0.0 };
    let mut per_second = Vec::new();
    load.sent.iter().for_each(|sent| count_at(&mut per_second, sent - first, 1));
    // The last second is not whole.
    let whole = std::time::Duration::try_from_secs_f64(last - first).unwrap_or_default().as_secs();
    per_second.truncate(usize::try_from(whole).unwrap_or(usize::MAX));
    let fewest = per_second.into_iter().min().unwrap_or(load.rps);
    f64::from(fewest) / f64::from(load.rps)
}

/// Adds `count` to the second of `moment`.
fn count_at(per_second: &mut Vec<u32>, moment: f64, count: u32) {
    let second = std::time::Duration::try_from_secs_f64(moment).unwrap_or_default().as_secs();
    let second = usize::try_from(second).unwrap_or(usize::MAX);
    if per_second.len() <= second {
        per_second.resize(second + 1, 0);
    }
    if let Some(sum) = per_second.get_mut(second) {
        *sum += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Outcome;
    use reqwest::StatusCode;

    const OK: Outcome = Outcome::Answered(StatusCode::OK);

    fn request(due: f64, outcome: Outcome) -> Request {
        Request { due, ended: due + 0.5, slow: false, outcome }
    }

    fn load(requests: &[Request]) -> Load {
        let sent = requests.iter().map(|request| request.due).collect();
        Load { rps: 1, sent, requests: requests.to_vec() }
    }

    #[test]
    fn requests_are_counted_by_when_they_were_due_and_how_they_ended() {
        let bad = Outcome::Answered(StatusCode::BAD_GATEWAY);
        let requests = [
            request(0.5, OK),
            request(2.2, bad),
            request(2.9, bad),
            request(3.0, Outcome::TimedOut),
            request(3.1, Outcome::Vanished),
        ];
        let scenario = scenario(&load(&requests), 1, vec![]);
        assert_eq!((scenario.sent, scenario.requests, scenario.failed), (5, 5, 4));
        let kinds = [("502".into(), 2), ("timed out".into(), 1), ("vanished".into(), 1)];
        assert_eq!(scenario.failed_by_status, kinds.into());
        assert_eq!(scenario.requests_per_second, [1, 0, 2, 2]);
        assert_eq!(scenario.failures_per_second, [0, 0, 2, 2]);
        assert!((scenario.duration_s - 3.6).abs() < f64::EPSILON);
    }

    #[test]
    fn a_request_that_is_sent_late_is_slow_from_when_it_was_due() {
        let took = |ms: f64| Request { ended: 1.0 + ms / 1_000.0, ..request(1.0, OK) };
        let mut requests: Vec<_> = (1..=100).map(|ms| took(f64::from(ms))).collect();
        requests.push(Request { slow: true, ..took(2_000.0) });
        requests.push(Request { outcome: Outcome::TimedOut, ..took(30_000.0) });
        assert_eq!(latency(&requests), Latency { p50: 50.0, p99: 99.0, max: 100.0 });
        assert_eq!(latency(&[]), Latency::default());
    }

    #[test]
    fn a_generator_that_stalls_shows_its_gap_and_its_lowest_second() {
        let steady = |from: u32, to: u32| (from..to).map(|n| 0.1 + f64::from(n) / 10.0);
        let requests = |sent: Vec<f64>| Load { rps: 10, sent, requests: Vec::new() };
        let good = requests(steady(0, 45).collect());
        assert!((lowest_rate(&good) - 1.0).abs() < 1e-9 && (longest_gap(&good.sent) - 0.1).abs() < 1e-9);
        // Three seconds of nothing, made up for at once.
        let stalled: Vec<f64> =
            steady(0, 10).chain(std::iter::repeat_n(4.1, 30)).chain(steady(41, 60)).collect();
        let stalled = requests(stalled);
        assert!(lowest_rate(&stalled) < 0.01, "{}", lowest_rate(&stalled));
        assert!((longest_gap(&stalled.sent) - 3.1).abs() < 1e-9);
        assert!(lowest_rate(&requests(Vec::new())) < 0.01, "nothing was sent");
    }

    #[test]
    fn what_is_not_covered_is_measured() {
        let span = |from, to| Span { from, to };
        let out = [span(1.0, 5.0), span(8.0, 9.0)];
        assert!(uncovered(&[span(2.0, 4.0), span(8.0, 9.0)], &out).abs() < f64::EPSILON);
        assert!((uncovered(&[span(4.0, 6.0), span(8.5, 10.0)], &out) - 2.0).abs() < f64::EPSILON);
        assert!((uncovered(&[span(2.0, 4.0)], &[]) - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn spans_add_up_to_milliseconds() {
        let spans = [Span { from: 1.0, to: 2.25 }, Span { from: 5.0, to: 5.000_04 }];
        assert!((total(&spans) - 1.25).abs() < f64::EPSILON);
    }
}
