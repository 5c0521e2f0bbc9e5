//! The chart: for each scenario, the requests over time and the state of each node. Without I/O.

use crate::{
    figures::count,
    report::{Node, Report, Scenario},
    svg::{Anchor, Area, Svg},
};

const WIDTH: f64 = 1_000.0;
const LEFT: f64 = 88.0;
const RIGHT: f64 = 26.0;
const PLOT_WIDTH: f64 = WIDTH - LEFT - RIGHT;
/// Height of the title and the legend.
const HEAD_HEIGHT: f64 = 92.0;
const HEADING_HEIGHT: f64 = 34.0;
const PLOT_HEIGHT: f64 = 130.0;
const ROW_HEIGHT: f64 = 16.0;
const ROW_PITCH: f64 = 22.0;
/// Height of the time axis and the space below it.
const FOOT_HEIGHT: f64 = 46.0;

const ANSWERED: &str = "#a9c7e8";
const FAILED: &str = "#d93a3a";
const IN_SERVICE: &str = "#dcefe1";
const GRID: &str = "#e5e8ec";

/// The colours of a node's phases. Related phases share a colour.
const PHASES: [(&str, &str, &[&str]); 4] = [
    ("in service, waiting", "#b5d4be", &["check_group", "acquire_lease", "validate"]),
    ("draining", "#efb23f", &["deregister", "drain"]),
    ("rebooting", "#3d4656", &["run_command", "reboot"]),
    ("coming back", "#53a8a0", &["check_health", "register", "wait_in_service", "release_lease"]),
];

/// Draws `report` as an SVG image.
pub(crate) fn draw(report: &Report) -> String {
    let scenarios: Vec<(&str, &Scenario)> = report.scenarios().collect();
    let height = HEAD_HEIGHT + scenarios.iter().map(|(_, scenario)| panel_height(scenario)).sum::<f64>();
    let title = format!(
        "Rebooting {} nodes behind a load balancer, {} requests per second",
        report.settings.nodes,
        count(report.settings.rps.into())
    );

    let mut svg = Svg::new(WIDTH, height);
    svg.text(LEFT, 40.0, "title", Anchor::Start, &title);
    legend(&mut svg, 62.0);
    // All panels share one scale, so that they can be compared.
    let scale = Scale::of(&scenarios);
    let mut top = HEAD_HEIGHT;
    for (name, scenario) in scenarios {
        panel(&mut svg, top, &scale, name, scenario);
        top += panel_height(scenario);
    }
    svg.finish(&title)
}

struct Scale {
    seconds: f64,
    requests_per_second: f64,
}

impl Scale {
    fn of(scenarios: &[(&str, &Scenario)]) -> Self {
        let seconds = scenarios.iter().map(|(_, scenario)| load_seconds(scenario)).fold(1.0, f64::max);
        let most = scenarios.iter().flat_map(|(_, scenario)| &scenario.requests_per_second).max();
        Self { seconds, requests_per_second: f64::from(most.copied().unwrap_or(1)) * 1.05 }
    }

    fn x(&self, second: f64) -> f64 {
        LEFT + PLOT_WIDTH * second.clamp(0.0, self.seconds) / self.seconds
    }

    fn height(&self, requests: u32) -> f64 {
        PLOT_HEIGHT * f64::from(requests) / self.requests_per_second
    }
}

/// How long requests were sent. The last ones are answered a little later.
fn load_seconds(scenario: &Scenario) -> f64 {
    scenario.requests_per_second.iter().map(|_| 1.0).sum()
}

fn panel_height(scenario: &Scenario) -> f64 {
    let rows: f64 = scenario.nodes.iter().map(|_| ROW_PITCH).sum();
    HEADING_HEIGHT + PLOT_HEIGHT + 12.0 + rows + FOOT_HEIGHT
}

fn legend(svg: &mut Svg, y: f64) {
    let bars = [("request answered", ANSWERED), ("request failed", FAILED), ("node in service", IN_SERVICE)];
    let phases = PHASES.iter().map(|&(label, colour, _)| (label, colour));
    let mut x = LEFT;
    for (label, colour) in bars.into_iter().chain(phases) {
        svg.rect(Area { x, y: y - 10.0, width: 12.0, height: 12.0 }, colour);
        svg.text(x + 18.0, y, "label", Anchor::Start, label);
        // Wide enough for the widest letters, because the font's metrics are not known here.
        x += label.chars().map(|_| 6.6).sum::<f64>() + 34.0;
    }
}

fn panel(svg: &mut Svg, top: f64, scale: &Scale, name: &str, scenario: &Scenario) {
    let explained = match name {
        "naive" => "naive: each node in turn, without telling the load balancer",
        _ => "graceful: node-agent on all nodes at once",
    };
    svg.text(LEFT, top + 16.0, "heading", Anchor::Start, explained);
    let verdict = format!("{} of {} requests failed", count(scenario.failed), count(scenario.requests));
    let class = if scenario.failed == 0 { "good" } else { "bad" };
    svg.text(WIDTH - RIGHT, top + 16.0, class, Anchor::End, verdict);

    let plot_top = top + HEADING_HEIGHT;
    requests(svg, plot_top, scale, scenario);
    let mut row = plot_top + PLOT_HEIGHT + 12.0;
    for node in &scenario.nodes {
        node_row(svg, row, scale, load_seconds(scenario), node);
        row += ROW_PITCH;
    }
    time_axis(svg, row + 10.0, scale);
}

/// Draws a column per second: failed requests at the bottom, where a single one is visible, and answered requests above.
fn requests(svg: &mut Svg, top: f64, scale: &Scale, scenario: &Scenario) {
    let bottom = top + PLOT_HEIGHT;
    let step = nice_step(scale.requests_per_second, 3.0);
    for value in multiples(step, scale.requests_per_second) {
        let y = bottom - PLOT_HEIGHT * value / scale.requests_per_second;
        svg.rule(LEFT, y, PLOT_WIDTH, GRID);
        svg.text(LEFT - 10.0, y + 4.0, "label", Anchor::End, value);
    }
    svg.text(LEFT - 10.0, top - 8.0, "label", Anchor::End, "requests/s");

    let seconds = scenario.requests_per_second.iter().zip(&scenario.failures_per_second);
    for (second, (&requests, &failed)) in (0_u32..).zip(seconds) {
        let x = scale.x(second.into());
        let width = (scale.x(f64::from(second) + 1.0) - x - 1.0).max(0.5);
        let failed_height = if failed > 0 { scale.height(failed).max(1.5) } else { 0.0 };
        let answered_height = scale.height(requests.saturating_sub(failed));
        let answered =
            Area { x, y: bottom - failed_height - answered_height, width, height: answered_height };
        svg.rect(answered, ANSWERED);
        if failed > 0 {
            svg.rect(Area { x, y: bottom - failed_height, width, height: failed_height }, FAILED);
        }
    }
    svg.rule(LEFT, bottom, PLOT_WIDTH, "#8a93a0");
}

fn node_row(svg: &mut Svg, y: f64, scale: &Scale, seconds: f64, node: &Node) {
    svg.text(LEFT - 10.0, y + ROW_HEIGHT - 4.0, "label", Anchor::End, &node.name);
    let mut bar = |from: f64, to: f64, colour: &str| {
        let x = scale.x(from);
        svg.rect(Area { x, y, width: (scale.x(to) - x).max(1.0), height: ROW_HEIGHT }, colour);
    };
    bar(0.0, seconds, IN_SERVICE);
    for (place, phase) in node.phases.iter().enumerate() {
        // A gap between two phases, such as the start of the agent after a boot, is drawn as the earlier phase.
        let own_end = phase.began_s + phase.seconds;
        let end = node.phases.get(place + 1).map_or(own_end, |next| next.began_s.max(own_end));
        if let Some(&(_, colour, _)) =
            PHASES.iter().find(|(_, _, names)| names.contains(&phase.name.as_str()))
        {
            bar(phase.began_s, end, colour);
        }
    }
}

fn time_axis(svg: &mut Svg, y: f64, scale: &Scale) {
    for second in multiples(nice_step(scale.seconds, 8.0), scale.seconds) {
        let unit = if second > 0.0 { " s" } else { "" };
        svg.text(scale.x(second), y, "label", Anchor::Middle, format!("{second}{unit}"));
    }
}

/// 1, 2 or 5 times a power of ten, so that `range` has about `count` steps.
fn nice_step(range: f64, count: f64) -> f64 {
    let rough = (range / count).max(1.0);
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough).unwrap_or(10.0);
    factor * power
}

fn multiples(step: f64, limit: f64) -> impl Iterator<Item = f64> {
    (0_u32..).map(move |number| f64::from(number) * step).take_while(move |&value| value <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Phase, Settings};
    use std::collections::BTreeSet;

    fn phase(name: &str, began_s: f64, seconds: f64) -> Phase {
        Phase { name: name.into(), began_s, seconds }
    }

    fn report() -> Report {
        let node = Node { name: "node-1".into(), phases: vec![phase("drain", 2.0, 3.0)], ..Node::default() };
        let scenario = Scenario {
            requests: 2_000,
            failed: 3,
            requests_per_second: vec![200; 10],
            failures_per_second: vec![0, 0, 3, 0, 0, 0, 0, 0, 0, 0],
            nodes: vec![node],
            ..Scenario::default()
        };
        let settings = Settings { rps: 200, reboot_time_s: 4.0, nodes: 3 };
        Report { settings, naive: Some(scenario), graceful: None }
    }

    #[test]
    fn it_says_what_was_played_and_how_it_went() {
        let image = draw(&report());
        for text in ["Rebooting 3 nodes", ">naive: each node", ">3 of 2,000 requests failed<", ">node-1<"] {
            assert!(image.contains(text), "{text}");
        }
        assert!(!image.contains("graceful"));
    }

    #[test]
    fn a_phase_is_drawn_where_it_was() {
        let (x, width) = (LEFT + PLOT_WIDTH * 0.2, PLOT_WIDTH * 0.3);
        let image = draw(&report());
        // The first rectangle of this colour is in the legend.
        let bar = image.lines().rfind(|line| line.contains("#efb23f")).unwrap();
        assert!(
            bar.contains(&format!(r#"x="{x:.1}""#)) && bar.contains(&format!(r#"width="{width:.1}""#)),
            "{bar}"
        );
    }

    #[test]
    fn every_phase_of_the_agent_that_takes_time_has_a_colour() {
        let drawn: BTreeSet<&str> = PHASES.iter().flat_map(|(_, _, names)| names.iter().copied()).collect();
        // A maintenance ends or stops in these phases, so they have no colour.
        let ends = BTreeSet::from(["drained", "done", "halted"]);
        for phase in node_agent::record::phase::Phase::ALL {
            assert!(drawn.contains(phase.name()) != ends.contains(phase.name()), "{phase}");
        }
    }

    #[test]
    fn steps_are_round_numbers() {
        assert_eq!([2.0, 70.0, 210.0, 1_050.0].map(|range| nice_step(range, 3.0)), [1.0, 50.0, 100.0, 500.0]);
    }
}
