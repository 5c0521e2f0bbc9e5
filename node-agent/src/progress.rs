//! What a person at a terminal sees while the agent waits: for what, since when, how long at most.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, Write};
use std::time::Duration;

/// How often the line is drawn again.
const TICK: Duration = Duration::from_millis(200);

/// One line at the bottom of the terminal; nothing where there is none.
#[derive(Debug, Clone)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A line on standard error, if that is a terminal.
    pub fn on_terminal() -> Progress {
        let bar = ProgressBar::new_spinner().with_finish(indicatif::ProgressFinish::AndClear);
        if bar.is_hidden() {
            return Progress::hidden();
        }
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} [{elapsed}]") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        Progress(bar)
    }

    /// No line at all.
    pub fn hidden() -> Progress {
        Progress(ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()))
    }

    /// A phase begins: time counts from here.
    pub fn begin(&self, phase: &str) {
        self.0.reset_elapsed();
        self.0.set_message(phase.to_owned());
    }

    /// What is waited for, and how long at most.
    pub fn waiting(&self, phase: &str, what: &str, limit: Option<Duration>) {
        let limit = limit.map(|limit| format!(", at most {}", rounded(limit))).unwrap_or_default();
        self.0.set_message(format!("{phase}: waiting for {what}{limit}"));
    }

    /// Takes the line away.
    pub fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// A length for people: no fractions of a second.
pub fn rounded(length: Duration) -> String {
    crate::time::Length::from_secs(length.as_secs()).to_string()
}

/// Standard error, shared with the line: whatever is written goes above it.
#[derive(Debug, Clone)]
pub struct AboveTheLine(pub Progress);

impl Write for AboveTheLine {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.0.suspend(|| io::stderr().write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
