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
pub(crate) enum View {
    Block { multi: MultiProgress, lines: Vec<ProgressBar> },
    Lines { written: Instant },
}

impl View {
    pub(crate) fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        if io::stderr().is_terminal() && !dumb {
            Self::Block { multi: MultiProgress::new(), lines: Vec::new() }
        } else {
            Self::Lines { written: Instant::now() }
        }
    }

    pub(crate) fn show(&mut self, snapshot: &Snapshot) {
        match self {
            Self::Block { multi, lines } => {
                let texts = block(snapshot);
                while lines.len() < texts.len() {
                    let style = ProgressStyle::with_template("{msg}");
                    let line = multi.add(ProgressBar::no_length());
                    lines.push(line.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner())));
                }
                for (line, text) in lines.iter().zip(texts) {
                    line.set_message(text);
                }
            }
            Self::Lines { written } => {
                if written.elapsed() >= LINE_EVERY {
                    *written = Instant::now();
                    // A closed terminal does not stop the rehearsal.
                    let _ = writeln!(io::stderr(), "{}", line(snapshot));
                }
            }
        }
    }

    pub(crate) fn close(self) {
        if let Self::Block { multi, .. } = self {
            // Only drawing can fail, and this is the last drawing.
            let _ = multi.clear();
        }
    }
}

fn block(snapshot: &Snapshot) -> Vec<String> {
    let mut lines: Vec<String> = snapshot
        .nodes
        .iter()
        .map(|node| format!("  {:<8} {:<16} load balancer: {}", node.name, node.phase, node.state))
        .collect();
    lines.push(format!(
        "  {:>5.0} s   {:>5.0} requests/s {:>5.0} failed/s   {} of {} failed",
        snapshot.now,
        snapshot.requests_per_second,
        snapshot.failures_per_second,
        figures::count(snapshot.failed),
        figures::count(snapshot.requests),
    ));
    lines
}

fn line(snapshot: &Snapshot) -> String {
    let nodes: Vec<String> =
        snapshot.nodes.iter().map(|node| format!("{} {} ({})", node.name, node.phase, node.state)).collect();
    format!(
        "  {:>3.0} s  {:>4.0} requests/s  {:>4.0} failed/s  {}",
        snapshot.now,
        snapshot.requests_per_second,
        snapshot.failures_per_second,
        nodes.join("  ")
    )
}
