//! What a person at a terminal sees while the agent waits: for what, since when, how long at most.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the line is drawn again.
const TICK: Duration = Duration::from_millis(200);

/// Where a driver without a terminal writes what it waits for.
const FILE: &str = "progress";

/// One line at the bottom of the terminal; nothing where there is none.
#[derive(Debug, Clone)]
pub struct Progress(ProgressBar, Option<PathBuf>);

/// What the driver of this node says that it is waiting for.
pub fn written(state_dir: &Path) -> Option<String> {
    std::fs::read_to_string(state_dir.join(FILE)).ok().filter(|text| !text.is_empty())
}

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
        Progress(bar, None)
    }

    /// No line at all.
    pub fn hidden() -> Progress {
        Progress(ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()), None)
    }

    /// A line in a file beside the record, for those who follow.
    pub fn written_to(state_dir: &Path) -> Progress {
        Progress(Progress::hidden().0, Some(state_dir.join(FILE)))
    }

    /// Says this, whatever it is.
    pub fn show(&self, text: &str) {
        self.0.set_message(text.to_owned());
        if let Some(file) = &self.1 {
            // For people only; a full disk shows elsewhere.
            let _ = std::fs::write(file, text);
        }
    }

    /// A phase begins: time counts from here.
    pub fn begin(&self, phase: &str) {
        self.0.reset_elapsed();
        self.show(phase);
    }

    /// What is waited for, and how long at most.
    pub fn waiting(&self, phase: &str, what: &str, limit: Option<Duration>) {
        let limit = limit.map(|limit| format!(", at most {}", rounded(limit))).unwrap_or_default();
        self.show(&format!("{phase}: waiting for {what}{limit}"));
    }

    /// Takes the line away.
    pub fn end(&self) {
        self.0.finish_and_clear();
        if let Some(file) = &self.1 {
            let _ = std::fs::remove_file(file);
        }
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
