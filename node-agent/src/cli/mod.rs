//! The command line: one file for each verb, called by a person, by SSM or by systemd.

mod args;
mod check;
mod check_scaling;
mod check_start;
mod environment;
#[cfg(test)]
mod errors;
mod findings;
mod idle;
mod lease_break;
mod lease_clear;
mod lease_gc;
mod log;
mod maintain;
mod operator;
mod pause;
mod report;
mod resume;
mod say;
mod status;
mod status_facts;
mod status_text;
mod tally;

use crate::agent::failure::Complaint;
use crate::agent::{open, shutdown_guard, unit};
use crate::exit;
use crate::record::journal;
use crate::settings::{Settings, SettingsError};
use args::{Cli, LeaseVerb, Verb};
use clap::{CommandFactory, FromArgMatches};
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// The command line. Its help shows the default of each setting that has a flag.
pub fn command() -> clap::Command {
    let defaults = serde_json::to_value(Settings::default()).unwrap_or_default();
    Cli::command().mut_args(|argument| {
        let default = defaults.get(argument.get_id().as_str()).and_then(as_written);
        match (default, argument.get_help().map(ToString::to_string)) {
            (Some(default), Some(help)) => argument.help(format!("{help} [default: {default}]")),
            _ => argument,
        }
    })
}

/// A default as a flag takes it. Lists and switches have none to show: they are empty or off.
fn as_written(default: &serde_json::Value) -> Option<String> {
    match default {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn parsed(command: &clap::Command, arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let matches = command.clone().try_get_matches_from(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command.clone()))
}

/// The command line, and what is wrong with the environment, if only that is wrong.
fn read(arguments: Vec<OsString>) -> Result<(Cli, Option<SettingsError>), clap::Error> {
    let command = environment::without_empty(command());
    let error = match parsed(&command, arguments.clone()) {
        Ok(cli) => return Ok((cli, None)),
        Err(error) => error,
    };
    let (command, wrong) = environment::without_unusable(command);
    // What is wrong on the command line itself comes first.
    let cli = parsed(&command, arguments).map_err(|_| error)?;
    Ok((cli, Some(SettingsError::Environment(wrong.join(", ")))))
}

/// Runs the program with these arguments (the first is its name) and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (cli, wrong) = match read(arguments.into_iter().collect()) {
        Ok(read) => read,
        Err(error) => {
            // Help and version are not errors. A failure to print cannot be reported anywhere.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::DONE });
        }
    };
    match start(cli, wrong) {
        Ok(code) => ExitCode::from(code),
        Err(complaint) => {
            let _ = writeln!(std::io::stderr(), "node-agent: {:#}", complaint.error);
            ExitCode::from(complaint.exit_code)
        }
    }
}

fn start(cli: Cli, wrong: Option<SettingsError>) -> Result<u8, Complaint> {
    let progress = log::begin(cli.log_format, std::io::stderr().is_terminal());
    let (settings, unusable) = settings(&cli, wrong)?;
    if let Some(error) = &unusable {
        tracing::warn!("{error}; using the record in {}", settings.state_dir.display());
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

/// The settings, and the error if the file or the environment cannot be used. Verbs that report on this node or bring it back
/// work without them: a maintenance has its settings on record.
fn settings(cli: &Cli, wrong: Option<SettingsError>) -> Result<(Settings, Option<SettingsError>), Complaint> {
    let file = cli.config.as_deref();
    let (without, unusable) = match (Settings::load(file, &cli.flags), wrong) {
        (Ok(settings), None) => return Ok((settings, None)),
        (Ok(settings), Some(error)) => (Some(settings), error),
        (Err(error), _) => (Settings::without(file, &cli.flags).ok(), error),
    };
    let settings = match cli.verb {
        Verb::Status(_) | Verb::Idle => without,
        // The unit ends only if nothing is on record. What it cannot read, it tries again to read.
        Verb::Resume { stay: true } => without
            .filter(|without| !journal::is_idle(&without.state_dir))
            .map(|without| open::settings_on_record(&without).unwrap_or(without)),
        Verb::Resume { .. } | Verb::Rejoin => without.and_then(|without| open::settings_on_record(&without)),
        // The machine goes down either way. Without a record, the groups tagged as managed are used.
        Verb::ShutdownGuard => without.map(|without| open::settings_on_record(&without).unwrap_or(without)),
        _ => None,
    };
    match settings {
        Some(settings) => Ok((settings, Some(unusable))),
        None if matches!(cli.verb, Verb::Resume { stay: true }) => {
            Err(Complaint::new(exit::CONFIG, unusable))
        }
        None => Err(Complaint::new(exit::USAGE, unusable)),
    }
}

/// Returns as soon as the future is ready. A DNS lookup occupies a thread that no deadline stops; the exit must not wait
/// for it.
fn to_its_end<T>(runtime: tokio::runtime::Runtime, what: impl Future<Output = T>) -> T {
    let ended = runtime.block_on(what);
    runtime.shutdown_background();
    ended
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn the_help_of_each_flag_shows_the_default_of_its_setting() {
        let defaults = serde_json::to_value(Settings::default()).unwrap();
        let mut shown = 0;
        for argument in command().get_arguments() {
            let Some(default) = defaults.get(argument.get_id().as_str()) else { continue };
            let help = argument.get_help().unwrap().to_string();
            match default {
                serde_json::Value::Bool(on) => assert!(!on, "{help}: a switch that is on has no flag"),
                // Without a default, the help says what is used instead.
                serde_json::Value::Null => assert!(help.contains("[default: "), "{help}"),
                serde_json::Value::Array(list) => assert!(list.is_empty() && help.contains("[default: ")),
                serde_json::Value::String(text) => {
                    assert!(help.ends_with(&format!(" [default: {text}]")), "{help}");
                    shown += 1;
                }
                other => panic!("no flag shows {other}"),
            }
        }
        assert!(shown >= 6, "{shown} defaults");
    }

    #[test]
    fn without_a_configuration_the_shutdown_guard_works_and_a_maintenance_does_not_start() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "state_dir = \"/nowhere\"\nsettle = 7").unwrap();
        let asked = |verb| {
            let cli = parsed(
                &command(),
                vec![
                    OsString::from("node-agent"),
                    "--config".into(),
                    file.path().into(),
                    OsString::from(verb),
                ],
            );
            settings(&cli.unwrap(), None)
        };
        let (settings, unusable) = asked("shutdown-guard").unwrap();
        assert_eq!((settings.state_dir.to_str(), unusable.is_some()), (Some("/nowhere"), true));
        assert_eq!(asked("drain").unwrap_err().exit_code, exit::USAGE);
    }

    #[test]
    fn a_thread_that_cannot_be_stopped_does_not_delay_the_exit() {
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
        // The limit makes the test fail instead of hang.
        assert_eq!(ended.recv_timeout(Duration::from_secs(60)), Ok(Ok(())));
        drop(never);
    }
}
