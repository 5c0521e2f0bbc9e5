//! The progress line at a terminal: what the agent waits for, since when, and how long at most.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the line is drawn again.
const TICK: Duration = Duration::from_millis(200);

/// Where a driver without a terminal writes its progress line.
const FILE: &str = "progress";

/// One line at the bottom of the terminal, or in a file.
#[derive(Debug, Clone)]
pub struct Progress {
    bar: ProgressBar,
    on_terminal: bool,
    file: Option<PathBuf>,
}

/// The progress line that the driver of this node has written.
pub fn written(state_dir: &Path) -> Option<String> {
    std::fs::read_to_string(state_dir.join(FILE)).ok().filter(|text| !text.is_empty())
}

impl Progress {
    /// A line on standard error, which is a terminal. It appears with the first text.
    pub fn on_terminal() -> Progress {
        let progress = Progress { on_terminal: true, ..Progress::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} [{elapsed}]") {
            progress.bar.set_style(style);
        }
        progress
    }

    /// No line at all.
    pub fn hidden() -> Progress {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        Progress { bar: bar.with_finish(ProgressFinish::AndClear), on_terminal: false, file: None }
    }

    /// A line in a file beside the record, for clients that follow.
    pub fn written_to(state_dir: &Path) -> Progress {
        Progress { file: Some(state_dir.join(FILE)), ..Progress::hidden() }
    }

    /// Shows this text.
    pub fn show(&self, text: &str) {
        if self.on_terminal && self.bar.is_hidden() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.bar.enable_steady_tick(TICK);
        }
        self.bar.set_message(text.to_owned());
        if let Some(file) = &self.file {
            // For people only; other writes report a full disk.
            let _ = std::fs::write(file, text);
        }
    }

    /// A phase begins: the elapsed time counts from here.
    pub fn begin(&self, phase: &str) {
        self.bar.reset_elapsed();
        self.show(phase);
    }

    /// Shows a wait, and its limit. `what` continues the word "waiting": `for X`, or `until Y`.
    pub fn waiting(&self, phase: &str, what: &str, limit: Option<Duration>) {
        let limit = limit.map(|limit| format!(", at most {}", rounded(limit))).unwrap_or_default();
        self.show(&format!("{phase}: waiting {what}{limit}"));
    }

    /// Removes the line.
    pub fn end(&self) {
        self.bar.finish_and_clear();
        if let Some(file) = &self.file {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// A length for people: no fractions of a second.
pub fn rounded(length: Duration) -> String {
    crate::machine::time::Length::from_secs(length.as_secs()).to_string()
}

/// Standard error, shared with the line: text appears above it.
#[derive(Debug, Clone)]
pub struct AboveTheLine(pub Progress);

impl Write for AboveTheLine {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.bar.suspend(|| io::stderr().write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
