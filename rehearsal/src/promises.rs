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
    if let Some(graceful) = &report.graceful {
        broken.extend(broken_by(graceful));
        broken.extend(graceful.nodes.iter().filter_map(broken_by_node));
    }
    broken
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
        Scenario { requests: 5_000, max_nodes_out: 1, nodes, ..Scenario::default() }
    }

    fn naive(failed: u64) -> Option<Scenario> {
        Some(Scenario { requests: 5_000, failed, max_nodes_out: 2, ..Scenario::default() })
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
            Node { in_service: false, ..node() },
        ];
        let expected = [
            "node-1: it is halted",
            "the agent of node-1 did not finish",
            "the agent of node-1 ended with exit code 75",
            "node-1 was not rebooted",
            "node-1 did not return to service",
        ];
        assert_eq!(compared(naive(700), graceful(nodes)), expected);
    }
}
