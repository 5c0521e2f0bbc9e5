//! Turns the measurements of a scenario into its report. Without I/O.

use crate::{
    load::Request,
    report::{Node, Scenario},
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

/// Rounds seconds for the report.
pub(crate) fn rounded(seconds: f64) -> f64 {
    (seconds * 1_000.0).round() / 1_000.0
}

pub(crate) fn scenario(requests: &[Request], max_nodes_out: usize, nodes: Vec<Node>) -> Scenario {
    let mut scenario = Scenario { max_nodes_out, nodes, ..Scenario::default() };
    for request in requests {
        let failed = request.outcome.is_failure();
        scenario.requests += 1;
        scenario.failed += u64::from(failed);
        if failed {
            *scenario.failed_by_status.entry(request.outcome.to_string()).or_default() += 1;
        }
        scenario.duration_s = scenario.duration_s.max(rounded(request.ended));
        count_at(&mut scenario.requests_per_second, request.began, 1);
        count_at(&mut scenario.failures_per_second, request.began, u32::from(failed));
    }
    scenario
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

    fn request(began: f64, outcome: Outcome) -> Request {
        Request { began, ended: began + 0.5, outcome }
    }

    #[test]
    fn requests_are_counted_by_when_they_began_and_how_they_ended() {
        let ok = Outcome::Answered(StatusCode::OK);
        let bad = Outcome::Answered(StatusCode::BAD_GATEWAY);
        let requests =
            [request(0.5, ok), request(2.2, bad), request(2.9, bad), request(3.0, Outcome::TimedOut)];
        let scenario = scenario(&requests, 1, vec![]);
        assert_eq!((scenario.requests, scenario.failed), (4, 3));
        assert_eq!(scenario.failed_by_status, [("502".into(), 2), ("timed out".into(), 1)].into());
        assert_eq!(scenario.requests_per_second, [1, 0, 2, 1]);
        assert_eq!(scenario.failures_per_second, [0, 0, 2, 1]);
        assert!((scenario.duration_s - 3.5).abs() < f64::EPSILON);
    }

    #[test]
    fn spans_add_up_to_milliseconds() {
        let spans = [Span { from: 1.0, to: 2.25 }, Span { from: 5.0, to: 5.000_04 }];
        assert!((total(&spans) - 1.25).abs() < f64::EPSILON);
    }
}
