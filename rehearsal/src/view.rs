//! The live view: a block that is redrawn on a terminal; elsewhere, a line every few seconds.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::figures;

/// How often a line is written when there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The view at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// Seconds since the scenario began.
    pub now: f64,
    /// In the last second.
    pub requests_per_second: f64,
    /// In the last second.
    pub failures_per_second: f64,
    pub requests: u64,
    pub failed: u64,
    pub nodes: Vec<NodeView>,
}

/// A node at one moment.
#[derive(Clone, Debug)]
pub(crate) struct NodeView {
    pub name: String,
    /// `drain`, `rebooting`
    pub phase: String,
    /// The load balancer's state of the target, such as `healthy`.
    pub state: String,
}

/// Writes to stderr. Stdout has only the results.
#[derive(Debug)]
pub(crate) struct View {
    /// How long the scenario takes, about.
    about: Duration,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Block { multi: MultiProgress, lines: Vec<ProgressBar> },
    Lines { written: Instant },
}

impl View {
    pub(crate) fn new(about: Duration) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let kind = if io::stderr().is_terminal() && !dumb {
            Kind::Block { multi: MultiProgress::new(), lines: Vec::new() }
        } else {
            Kind::Lines { written: Instant::now() }
        };
        Self { about, kind }
    }

    pub(crate) fn show(&mut self, snapshot: &Snapshot) {
        let time = time(snapshot.now, self.about);
        match &mut self.kind {
            Kind::Block { multi, lines } => {
                let texts = block(snapshot, &time);
                while lines.len() < texts.len() {
                    let style = ProgressStyle::with_template("{msg}");
                    let line = multi.add(ProgressBar::no_length());
                    lines.push(line.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner())));
                }
                for (line, text) in lines.iter().zip(texts) {
                    line.set_message(text);
                }
            }
            Kind::Lines { written } => {
                if written.elapsed() >= LINE_EVERY {
                    *written = Instant::now();
                    // A closed terminal does not stop the rehearsal.
                    let _ = writeln!(io::stderr(), "{}", line(snapshot, &time));
                }
            }
        }
    }

    pub(crate) fn close(self) {
        if let Kind::Block { multi, .. } = self.kind {
            // Only drawing can fail, and this is the last drawing.
            let _ = multi.clear();
        }
    }
}

/// `12 of about 35 s`. A scenario that takes longer shows no more than its time.
fn time(now: f64, about: Duration) -> String {
    let about = about.as_secs_f64();
    if now <= about { format!("{now:>3.0} of about {about:.0} s") } else { format!("{now:>3.0} s") }
}

fn block(snapshot: &Snapshot, time: &str) -> Vec<String> {
    let mut lines: Vec<String> = snapshot
        .nodes
        .iter()
        .map(|node| format!("  {:<8} {:<16} load balancer: {}", node.name, node.phase, node.state))
        .collect();
    lines.push(format!(
        "  {time}   {:>5.0} requests/s {:>5.0} failed/s   {} of {} failed",
        snapshot.requests_per_second,
        snapshot.failures_per_second,
        figures::count(snapshot.failed),
        figures::count(snapshot.requests),
    ));
    lines
}

fn line(snapshot: &Snapshot, time: &str) -> String {
    let nodes: Vec<String> =
        snapshot.nodes.iter().map(|node| format!("{} {} ({})", node.name, node.phase, node.state)).collect();
    format!(
        "  {time}  {:>4.0} requests/s  {:>4.0} failed/s  {}",
        snapshot.requests_per_second,
        snapshot.failures_per_second,
        nodes.join("  ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_is_told_until_it_is_over() {
        assert_eq!(time(5.2, Duration::from_secs(35)), "  5 of about 35 s");
        assert_eq!(time(41.0, Duration::from_secs(35)), " 41 s");
    }
}
