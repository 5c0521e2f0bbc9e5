//! The promises that a rehearsal checks. Without I/O: a report in, broken promises out.

use crate::report::{Node, Report, Scenario};

/// The most nodes that may be out of service at once: the default of `node-agent/max-unavailable`.
const MAX_UNAVAILABLE: usize = 1;

/// The promises that `report` breaks, a sentence each.
pub(crate) fn broken(report: &Report) -> Vec<String> {
    let mut broken = Vec::new();
    // Naive alone promises nothing. Next to graceful, it must show that reboots without node-agent lose requests.
    if let (Some(naive), Some(_)) = (&report.naive, &report.graceful)
        && naive.failed == 0
    {
        broken.push("in naive no request failed, so the comparison shows nothing; raise --rps".to_owned());
    }
    broken.extend(report.scenarios().filter_map(|(name, scenario)| unaccounted(name, scenario)));
    if let Some(graceful) = &report.graceful {
        broken.extend(broken_by(graceful));
        broken.extend(graceful.nodes.iter().filter_map(broken_by_node));
    }
    broken
}

/// What two samples of the load balancer's state may hide, in seconds.
const SAMPLED_S: f64 = 0.15;

/// The longest time between two requests, in seconds, and the lowest rate in a second. Below that, the load was not what it
/// says.
const LONGEST_GAP_S: f64 = 0.1;
const LOWEST_RATE: f64 = 0.9;

/// Why the load of `report` proves nothing, a sentence for each reason.
pub(crate) fn void(report: &Report) -> Vec<String> {
    let mut void = Vec::new();
    // At a low rate, two requests are further apart by themselves.
    let longest = LONGEST_GAP_S.max(2.0 / f64::from(report.settings.rps.max(1)));
    for (name, scenario) in report.scenarios() {
        if scenario.longest_gap_s > longest {
            void.push(format!(
                "in {name} no request was sent for {:.2} s; the limit is {longest:.2} s",
                scenario.longest_gap_s
            ));
        }
        if scenario.lowest_rate < LOWEST_RATE {
            void.push(format!(
                "in {name} one second had {:.0} % of the requests that were due; the limit is {:.0} %",
                scenario.lowest_rate * 100.0,
                LOWEST_RATE * 100.0
            ));
        }
    }
    void
}

/// Requests of which nobody knows how they ended.
fn unaccounted(name: &str, scenario: &Scenario) -> Option<String> {
    let Scenario { sent, requests, .. } = scenario;
    (sent != requests).then(|| format!("in {name} {sent} requests were sent and {requests} have a result"))
}

fn broken_by(graceful: &Scenario) -> Vec<String> {
    let mut broken = Vec::new();
    if graceful.requests == 0 {
        broken.push("graceful sent no requests".to_owned());
    }
    if graceful.failed > 0 {
        let kinds: Vec<String> =
            graceful.failed_by_status.iter().map(|(status, count)| format!("{status}: {count}")).collect();
        broken.push(format!("in graceful {} requests failed ({})", graceful.failed, kinds.join(", ")));
    }
    if graceful.max_nodes_out > MAX_UNAVAILABLE {
        broken.push(format!(
            "in graceful {} nodes were out of service at once; the limit is {MAX_UNAVAILABLE}",
            graceful.max_nodes_out
        ));
    }
    broken
}

fn broken_by_node(node: &Node) -> Option<String> {
    let name = &node.name;
    if let Some(problem) = &node.problem {
        return Some(format!("{name}: {problem}"));
    }
    match node.exit_code {
        None => return Some(format!("the agent of {name} did not finish")),
        Some(0) => {}
        Some(code) => return Some(format!("the agent of {name} ended with exit code {code}")),
    }
    if node.down_in_rotation_s > SAMPLED_S {
        return Some(format!(
            "the service of {name} was down for {:.2} s while the load balancer sent requests to it",
            node.down_in_rotation_s
        ));
    }
    if !node.rebooted {
        return Some(format!("{name} was not rebooted"));
    }
    (!node.in_service).then(|| format!("{name} did not return to service"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Node {
        Node {
            name: "node-1".into(),
            exit_code: Some(0),
            rebooted: true,
            in_service: true,
            ..Node::default()
        }
    }

    fn graceful(nodes: Vec<Node>) -> Scenario {
        Scenario { max_nodes_out: 1, nodes, ..steady() }
    }

    /// A load as it should be.
    fn steady() -> Scenario {
        Scenario {
            requests: 5_000,
            sent: 5_000,
            lowest_rate: 1.0,
            longest_gap_s: 0.02,
            ..Scenario::default()
        }
    }

    fn naive(failed: u64) -> Option<Scenario> {
        Some(Scenario { failed, max_nodes_out: 2, ..steady() })
    }

    fn compared(naive: Option<Scenario>, graceful: Scenario) -> Vec<String> {
        broken(&Report { naive, graceful: Some(graceful), ..Report::default() })
    }

    #[test]
    fn a_good_run_breaks_nothing() {
        assert!(compared(naive(700), graceful(vec![node()])).is_empty());
        assert!(compared(None, graceful(vec![node()])).is_empty());
    }

    #[test]
    fn a_load_that_stalled_proves_nothing() {
        let settings = || crate::report::Settings { rps: 200, ..Default::default() };
        let report =
            |graceful| Report { settings: settings(), graceful: Some(graceful), ..Report::default() };
        assert!(void(&report(graceful(vec![node()]))).is_empty());
        let stalled = Scenario { longest_gap_s: 3.0, lowest_rate: 0.0, ..graceful(vec![node()]) };
        assert_eq!(
            void(&report(stalled)),
            [
                "in graceful no request was sent for 3.00 s; the limit is 0.10 s",
                "in graceful one second had 0 % of the requests that were due; the limit is 90 %"
            ]
        );
        let slow = crate::report::Settings { rps: 5, ..Default::default() };
        let sparse = Scenario { longest_gap_s: 0.2, ..graceful(vec![node()]) };
        assert!(void(&Report { settings: slow, graceful: Some(sparse), ..Report::default() }).is_empty());
    }

    #[test]
    fn a_request_without_a_result_is_counted() {
        let run = Scenario { requests: 4_999, ..graceful(vec![node()]) };
        assert_eq!(compared(naive(700), run), ["in graceful 5000 requests were sent and 4999 have a result"]);
    }

    #[test]
    fn naive_alone_promises_nothing() {
        for failed in [0, 700] {
            assert!(broken(&Report { naive: naive(failed), ..Report::default() }).is_empty());
        }
    }

    #[test]
    fn an_experiment_without_losses_shows_nothing() {
        assert!(compared(naive(0), graceful(vec![node()]))[0].starts_with("in naive no request failed"));
    }

    #[test]
    fn failures_are_named_by_status() {
        let failed_by_status = [("502".to_owned(), 2), ("timed out".to_owned(), 1)].into();
        let run = Scenario { failed: 3, failed_by_status, ..graceful(vec![node()]) };
        assert_eq!(compared(naive(700), run), ["in graceful 3 requests failed (502: 2, timed out: 1)"]);
    }

    #[test]
    fn two_nodes_out_at_once_are_one_too_many() {
        let run = Scenario { max_nodes_out: 2, ..graceful(vec![node()]) };
        assert_eq!(
            compared(naive(700), run),
            ["in graceful 2 nodes were out of service at once; the limit is 1"]
        );
    }

    #[test]
    fn a_node_is_judged_by_the_first_thing_that_went_wrong() {
        let halted = Node { problem: Some("it is halted".into()), exit_code: None, ..node() };
        let nodes = vec![
            halted,
            Node { exit_code: None, ..node() },
            Node { exit_code: Some(75), rebooted: false, ..node() },
            Node { rebooted: false, ..node() },
            Node { down_in_rotation_s: 1.5, rebooted: false, ..node() },
            Node { in_service: false, ..node() },
        ];
        let expected = [
            "node-1: it is halted",
            "the agent of node-1 did not finish",
            "the agent of node-1 ended with exit code 75",
            "node-1 was not rebooted",
            "the service of node-1 was down for 1.50 s while the load balancer sent requests to it",
            "node-1 did not return to service",
        ];
        assert_eq!(compared(naive(700), graceful(nodes)), expected);
    }
}
