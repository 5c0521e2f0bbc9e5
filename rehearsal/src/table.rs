//! The results as text: the scenarios side by side, and failures over time. Without I/O.

use crate::{
    figures::{count, milliseconds, seconds},
    report::{Report, Scenario},
};

/// Fits its content and any terminal.
const LABEL_WIDTH: usize = 28;
const COLUMN_WIDTH: usize = 12;
/// A terminal's width, minus the label of the plot.
const PLOT_WIDTH: usize = 64;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A table with a column per scenario, followed by a plot of each scenario's failures.
pub(crate) fn side_by_side(report: &Report) -> String {
    let scenarios: Vec<(&str, &Scenario)> = report.scenarios().collect();
    let mut table = Table::default();
    table.row("", scenarios.iter().map(|(name, _)| (*name).to_owned()));
    let figures = || scenarios.iter().map(|(_, scenario)| *scenario);
    table.row("requests", figures().map(|scenario| count(scenario.requests)));
    table.row("failed", figures().map(|scenario| count(scenario.failed)));
    for status in statuses(&scenarios) {
        let failed =
            figures().map(|scenario| scenario.failed_by_status.get(status).copied().unwrap_or_default());
        table.row(&format!("  {status}"), failed.map(count));
    }
    // Without node-agent the load balancer is told nothing, and sends requests to a node that is down.
    table.row("most out of rotation", figures().map(|scenario| scenario.max_nodes_out.to_string()));
    table.row("latency, median", figures().map(|scenario| milliseconds(scenario.latency_ms.p50)));
    table.row("latency, 99 %", figures().map(|scenario| milliseconds(scenario.latency_ms.p99)));
    table.row("latency, longest", figures().map(|scenario| milliseconds(scenario.latency_ms.max)));
    table.row("duration", figures().map(|scenario| seconds(scenario.duration_s)));
    for (place, name) in node_names(&scenarios).iter().enumerate() {
        let node = |scenario: &Scenario| scenario.nodes.get(place).cloned().unwrap_or_default();
        table.row(
            &format!("{name} service down"),
            figures().map(|scenario| seconds(node(scenario).service_down_s)),
        );
        table.row(
            "       out of rotation",
            figures().map(|scenario| seconds(node(scenario).out_of_rotation_s)),
        );
        table.row(
            "       down in rotation",
            figures().map(|scenario| seconds(node(scenario).down_in_rotation_s)),
        );
    }
    table.text + "\n" + &plots(&scenarios)
}

#[derive(Default)]
struct Table {
    text: String,
}

impl Table {
    fn row(&mut self, label: &str, cells: impl Iterator<Item = String>) {
        let cells: String = cells.map(|cell| format!("{cell:>COLUMN_WIDTH$}")).collect();
        self.text += format!("{label:<LABEL_WIDTH$}{cells}").trim_end();
        self.text.push('\n');
    }
}

/// The distinct kinds of failure.
fn statuses<'a>(scenarios: &[(&str, &'a Scenario)]) -> std::collections::BTreeSet<&'a String> {
    scenarios.iter().flat_map(|(_, scenario)| scenario.failed_by_status.keys()).collect()
}

fn node_names(scenarios: &[(&str, &Scenario)]) -> Vec<String> {
    let first = scenarios.first().map(|(_, scenario)| scenario.nodes.iter().map(|node| node.name.clone()));
    first.into_iter().flatten().collect()
}

/// Plots failures over time, with one scale for all scenarios.
fn plots(scenarios: &[(&str, &Scenario)]) -> String {
    let longest =
        scenarios.iter().map(|(_, scenario)| scenario.failures_per_second.len()).max().unwrap_or_default();
    let seconds_per_bar = longest.div_ceil(PLOT_WIDTH).max(1);
    let bars = |scenario: &Scenario| -> Vec<u32> {
        scenario.failures_per_second.chunks(seconds_per_bar).map(|seconds| seconds.iter().sum()).collect()
    };
    let most = scenarios.iter().flat_map(|(_, scenario)| bars(scenario)).max().unwrap_or_default();
    if most == 0 {
        return "failed requests over time: none\n".to_owned();
    }
    let each = if seconds_per_bar == 1 { "second".to_owned() } else { format!("{seconds_per_bar} seconds") };
    let mut text =
        format!("failed requests over time, a column for every {each}, at most {}\n", count(most.into()));
    for (name, scenario) in scenarios {
        let plot: String = bars(scenario).into_iter().map(|bar| column(bar, most)).collect();
        text += &format!("{name:>10} {plot}\n");
    }
    text
}

/// A dot for zero; any other value is at least the lowest bar.
fn column(value: u32, most: u32) -> char {
    if value == 0 {
        return '·';
    }
    let height = u64::from(value) * 8 / u64::from(most.max(1));
    let height = usize::try_from(height).unwrap_or_default().clamp(1, 8);
    BARS.get(height - 1).copied().unwrap_or('█')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Latency, Node};

    fn report() -> Report {
        let node = |out_of_rotation_s, down_in_rotation_s| Node {
            name: "node-1".into(),
            service_down_s: 4.25,
            out_of_rotation_s,
            down_in_rotation_s,
            ..Node::default()
        };
        let naive = Scenario {
            requests: 5_200,
            failed: 812,
            failed_by_status: [("502".to_owned(), 812)].into(),
            max_nodes_out: 1,
            duration_s: 26.04,
            failures_per_second: vec![0, 100, 12, 700],
            latency_ms: Latency { p50: 2.4, p99: 12.0, max: 80.3 },
            nodes: vec![node(0.0, 4.25)],
            ..Scenario::default()
        };
        let graceful = Scenario {
            requests: 13_000,
            max_nodes_out: 1,
            duration_s: 65.1,
            failures_per_second: vec![0; 6],
            latency_ms: Latency { p50: 2.6, p99: 11.4, max: 90.0 },
            nodes: vec![node(14.31, 0.0)],
            ..Scenario::default()
        };
        Report { naive: Some(naive), graceful: Some(graceful), ..Report::default() }
    }

    #[test]
    fn both_scenarios_stand_side_by_side() {
        let expected = "\
\x20                                  naive    graceful
requests                           5,200      13,000
failed                               812           0
  502                                812           0
most out of rotation                   1           1
latency, median                     2 ms        3 ms
latency, 99 %                      12 ms       11 ms
latency, longest                   80 ms       90 ms
duration                          26.0 s      65.1 s
node-1 service down                4.2 s       4.2 s
       out of rotation             0.0 s      14.3 s
       down in rotation            4.2 s       0.0 s

failed requests over time, a column for every second, at most 700
     naive ·▁▁█
  graceful ······
";
        assert_eq!(side_by_side(&report()), expected);
    }

    #[test]
    fn a_long_scenario_still_fits_the_terminal() {
        let mut report = report();
        report.graceful.as_mut().unwrap().failures_per_second = vec![0; 200];
        let widest = side_by_side(&report).lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest < 80, "{widest}");
    }
}
