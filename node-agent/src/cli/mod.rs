//! The command line: what a person, SSM or systemd asks for.

mod check;
mod check_scaling;
mod check_start;
mod drives;
mod follow;
mod gather;
mod idle;
mod lease_break;
mod lease_clear;
mod lease_gc;
mod log;
mod lost;
mod maintain;
mod operator;
mod pause;
mod resume;
mod shutdown_guard;
mod signals;
mod start;
mod status;
mod status_text;
mod unit;
mod verdict;
mod who;

use crate::exit;
use crate::record::RebootWhen;
use crate::settings::{Flags, Settings, SettingsError};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

const AFTER_HELP: &str = "\
Exit codes:
  0    done as asked; for check: yes
  1    the maintenance failed and the node is back in service; for check: no
  2    wrong usage or configuration, or refused: other arguments are needed; nothing was done
  3    halted: the lease is kept, a person is needed (node-agent status says why)
  75   nothing was changed, try again later
  194  asks the SSM agent for a reboot
";

/// Takes this node out of its load balancer, patches or reboots it, and brings it back.
#[derive(Debug, Parser)]
#[command(name = "node-agent", version, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// Configuration file [default: /etc/node-agent/config.toml, if it exists]
    #[arg(long, env = "NODE_AGENT_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// How to write the log, on standard error
    #[arg(long, env = "NODE_AGENT_LOG_FORMAT", value_enum, default_value = "text", global = true)]
    log_format: LogFormat,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Take this node out, run the command, reboot, bring it back
    Maintain(MaintainArgs),
    /// Drive whatever is unfinished; never takes a node out
    Resume {
        /// Be the driver of this node, for node-agent.service alone: do what others ask, stay while halted or drained
        #[arg(long, hide = true)]
        stay: bool,
    },
    /// Take this node out and leave it out, until rejoin
    Drain(DrainArgs),
    /// Bring back a node that drain took out, or that halted
    Rejoin,
    /// May this node go down now? yes 0, no 1, with the reasons
    Check(CheckArgs),
    /// This node, its target groups, who holds or waits for a slot, and what blocks the next node
    Status(StatusArgs),
    /// Leases of nodes that cannot do it themselves; runs anywhere
    #[command(subcommand)]
    Lease(LeaseVerb),
    /// Nobody starts from now on, in the named target groups or all managed ones; runs anywhere
    Pause {
        /// Why, for whoever wonders
        #[arg(required = true)]
        reason: Vec<String>,
    },
    /// Lifts the pause; runs anywhere
    Unpause,
    /// Leave and drain before the machine goes down; for node-agent-guard.service alone
    #[command(hide = true)]
    ShutdownGuard,
    /// Is no maintenance under way? yes 0, no 1; for package scripts
    #[command(hide = true)]
    Idle,
}

#[derive(Debug, Subcommand)]
enum LeaseVerb {
    /// Free the slot of a node whose agent is stopped for good; one at a time
    Break {
        /// The instance id
        id: String,
    },
    /// Remove the mark of a failed maintenance, or of a break
    Clear {
        /// The instance id
        id: String,
    },
    /// Remove the leases of terminated instances; without ids, say how to find them
    Gc {
        /// Their instance ids
        ids: Vec<String>,
        /// Ask EC2 which instances are terminated, with `aws ec2 describe-instances`
        #[arg(long, conflicts_with = "ids")]
        ask_ec2: bool,
    },
}

#[derive(Debug, Args)]
struct MaintainArgs {
    /// Reboot: always, or if the command (exit code 194) or the system asks for it
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "always", default_value = "never")]
    reboot: RebootWhen,
    /// Give up if the node has not left service by then: a UTC time such as 2026-11-24T04:00:00Z
    #[arg(long, value_name = "TIME")]
    not_after: Option<Timestamp>,
    /// Only say what would be done, and whether it could begin now
    #[arg(long)]
    dry_run: bool,
    /// The command to run while the node is out, after `--`
    #[arg(last = true)]
    command: Vec<String>,
}

#[derive(Debug, Args)]
struct DrainArgs {
    /// Give up if the node has not left service by then: a UTC time such as 2026-11-24T04:00:00Z
    #[arg(long, value_name = "TIME")]
    not_after: Option<Timestamp>,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// Ask instead whether `maintain` could take this node out now
    #[arg(long)]
    start: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct StatusArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// An error for the screen: what failed, why and what to do, with its exit code.
#[derive(Debug)]
struct Complaint {
    error: anyhow::Error,
    exit_code: u8,
}

impl Complaint {
    fn new(exit_code: u8, error: impl Into<anyhow::Error>) -> Complaint {
        Complaint { error: error.into(), exit_code }
    }
}

/// The command line, for manual pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program with these arguments (the first is its name) and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors. There is nowhere to say that the screen is gone.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::DONE });
        }
    };
    match start(cli) {
        Ok(code) => ExitCode::from(code),
        Err(complaint) => {
            let _ = writeln!(std::io::stderr(), "node-agent: {:#}", complaint.error);
            ExitCode::from(complaint.exit_code)
        }
    }
}

fn start(cli: Cli) -> Result<u8, Complaint> {
    let progress = log::begin(cli.log_format, std::io::stderr().is_terminal());
    let (settings, unusable) = settings(&cli)?;
    if let Some(error) = &unusable {
        tracing::warn!("{error}; going by the record in {}", settings.state_dir.display());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Complaint::new(exit::NOTHING_CHANGED, e))?;
    let ended = to_its_end(runtime, async {
        match cli.verb {
            Verb::Maintain(args) => maintain::maintain(settings, &progress, args).await,
            Verb::Drain(args) => maintain::drain(settings, &progress, args).await,
            Verb::Resume { stay: true } => unit::run(settings).await,
            Verb::Resume { stay: false } => resume::resume(settings, &progress).await,
            Verb::Rejoin => resume::rejoin(settings, &progress).await,
            Verb::Check(args) => check::check(&settings, &args).await,
            Verb::Status(args) => status::status(&settings, &args, unusable).await,
            Verb::Lease(LeaseVerb::Break { id }) => lease_break::run(&settings, &id).await,
            Verb::Lease(LeaseVerb::Clear { id }) => lease_clear::run(&settings, &id).await,
            Verb::Lease(LeaseVerb::Gc { ask_ec2: true, .. }) => lease_gc::ask_ec2(&settings).await,
            Verb::Lease(LeaseVerb::Gc { ids, .. }) => lease_gc::run(&settings, &ids).await,
            Verb::Pause { reason } => pause::pause(&settings, &reason).await,
            Verb::Unpause => pause::unpause(&settings).await,
            Verb::ShutdownGuard => shutdown_guard::run(settings, &progress).await,
            Verb::Idle => idle::idle(&settings),
        }
    });
    progress.end();
    ended
}

/// The settings, and what is wrong with the file. Those who say how this node is, and those who bring it back, can do
/// without it: a maintenance has its settings on record.
fn settings(cli: &Cli) -> Result<(Settings, Option<SettingsError>), Complaint> {
    let file = cli.config.as_deref();
    let unusable = match Settings::load(file, &cli.flags) {
        Ok(settings) => return Ok((settings, None)),
        Err(error) => error,
    };
    let without = Settings::without(file, &cli.flags).ok();
    let settings = match cli.verb {
        Verb::Status(_) | Verb::Idle => without,
        Verb::Resume { .. } | Verb::Rejoin => {
            without.and_then(|without| resume::settings_on_record(&without))
        }
        // The machine goes down either way; without a record, groups that are tagged as managed are found.
        Verb::ShutdownGuard => without.map(|without| resume::settings_on_record(&without).unwrap_or(without)),
        _ => None,
    };
    match settings {
        Some(settings) => Ok((settings, Some(unusable))),
        None => Err(Complaint::new(exit::USAGE, unusable)),
    }
}

/// Runs this and nothing else: a question to a name server, which no deadline stops, keeps a thread for as long as the
/// resolver likes, and whoever has the answer does not wait for that.
fn to_its_end<T>(runtime: tokio::runtime::Runtime, what: impl Future<Output = T>) -> T {
    let ended = runtime.block_on(what);
    runtime.shutdown_background();
    ended
}

/// Writes to standard output. A reader that has gone is no reason to fail.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn without_a_configuration_the_guard_of_a_shutdown_works_and_a_maintenance_does_not_begin() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "state_dir = \"/nowhere\"\nsettle = 7").unwrap();
        let asked = |verb| {
            let cli = Cli::try_parse_from([
                OsString::from("node-agent"),
                "--config".into(),
                file.path().into(),
                OsString::from(verb),
            ]);
            settings(&cli.unwrap())
        };
        let (settings, unusable) = asked("shutdown-guard").unwrap();
        assert_eq!((settings.state_dir.to_str(), unusable.is_some()), (Some("/nowhere"), true));
        assert_eq!(asked("drain").unwrap_err().exit_code, exit::USAGE);
    }

    #[test]
    fn a_thread_that_nothing_stops_does_not_keep_the_program() {
        let (never, stuck) = mpsc::channel::<()>();
        let (end, ended) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (begin, begun) = tokio::sync::oneshot::channel();
            let answer = to_its_end(runtime, async {
                tokio::task::spawn_blocking(move || begin.send(()).map(|()| stuck.recv()));
                begun.await
            });
            end.send(answer)
        });
        // The limit is there to fail instead of hanging.
        assert_eq!(ended.recv_timeout(Duration::from_secs(60)), Ok(Ok(())));
        drop(never);
    }
}
