//! The log: one line for each event on standard error, above the progress line.

use crate::cli::args::LogFormat;
use crate::maintenance::progress::{AboveTheLine, Progress};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::FormatTime;

/// Starts the log and the progress line. `NODE_AGENT_LOG` sets the filter; the default is `info` for this program.
pub(super) fn begin(format: LogFormat, terminal: bool) -> Progress {
    let progress = if terminal { Progress::on_terminal() } else { Progress::hidden() };
    let filter =
        EnvFilter::try_from_env("NODE_AGENT_LOG").unwrap_or_else(|_| EnvFilter::new("node_agent=info"));
    let above = AboveTheLine(progress.clone());
    // Ignore write errors: the program goes on after its terminal was closed, and an attempt to report the error there
    // would panic.
    let log = tracing_subscriber::fmt().log_internal_errors(false);
    let log = log.with_env_filter(filter).with_writer(move || above.clone());
    // A second start in one process, as in tests, keeps the first log.
    let _ = match format {
        LogFormat::Json => log.json().with_timer(Utc).flatten_event(true).try_init(),
        LogFormat::Text => {
            log.with_target(false).with_ansi(terminal).with_timer(Utc).fmt_fields(MessageOnly).try_init()
        }
    };
    progress
}

/// `2026-01-02T03:04:05.678Z`
struct Utc;

impl FormatTime for Utc {
    fn format_time(&self, w: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(w, "{}", jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

/// The text log prints the message only. The fields are for the JSON log.
struct MessageOnly;

impl<'writer> tracing_subscriber::fmt::FormatFields<'writer> for MessageOnly {
    fn format_fields<R: tracing_subscriber::field::RecordFields>(
        &self,
        mut writer: tracing_subscriber::fmt::format::Writer<'writer>,
        fields: R,
    ) -> std::fmt::Result {
        struct Message<'a, 'w>(&'a mut tracing_subscriber::fmt::format::Writer<'w>, std::fmt::Result);
        impl tracing::field::Visit for Message<'_, '_> {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.1 = write!(self.0, "{value:?}");
                }
            }
        }
        let mut message = Message(&mut writer, Ok(()));
        fields.record(&mut message);
        message.1
    }
}
