//! The program, from its arguments to its exit code.

use std::{
    ffi::OsString,
    fs::{File, TryLockError},
    io::{self, Write},
    process::ExitCode,
    sync::Mutex,
};

use anyhow::Context;
use clap::Parser;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

use crate::{
    chart, figures, process, promises, report,
    report::Report,
    scenario,
    scenario::Scenario,
    settings::{Play, Settings},
    table,
};

const EXIT_PROMISE_BROKEN: u8 = 1;
const EXIT_VOID: u8 = 75;
const EXIT_INTERRUPTED: u8 = 130;

/// Runs the program. `args` starts with the program's name.
pub(crate) fn run(args: Vec<OsString>) -> ExitCode {
    let settings = match Settings::try_parse_from(args) {
        Ok(settings) => settings,
        Err(error) => {
            // A closed terminal cannot be reported anywhere.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    match play(&settings) {
        Ok(Some(report)) => match tell(&settings, &report) {
            Ok(code) => code,
            Err(error) => failed(&error),
        },
        Ok(None) => {
            let _ = writeln!(io::stderr(), "rehearsal: interrupted; all its processes were stopped");
            ExitCode::from(EXIT_INTERRUPTED)
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "rehearsal: {error:#}");
    ExitCode::FAILURE
}

/// Plays the scenarios; `None` if a signal ended the rehearsal.
fn play(settings: &Settings) -> anyhow::Result<Option<Report>> {
    let _only_here = lock(settings)?;
    start_logging(settings)?;
    process::raise_file_limit();
    let interrupted = interruption().context("failed to watch for signals")?;
    let runtime = tokio::runtime::Runtime::new().context("failed to start the runtime")?;
    // Dropping the scenario with the runtime kills all processes of all nodes.
    runtime.block_on(async {
        tokio::select! {
            report = play_all(settings) => report.map(Some),
            _ = interrupted => Ok(None),
        }
    })
}

/// Two rehearsals in one directory would empty it for each other. The lock ends with the process.
fn lock(settings: &Settings) -> anyhow::Result<File> {
    let path = settings.directory.join("lock");
    let file = std::fs::create_dir_all(&settings.directory).and_then(|()| File::create(&path));
    let file = file.with_context(|| {
        format!("failed to create {}; choose another directory with --directory", path.display())
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => anyhow::bail!(
            "another rehearsal runs in {}; wait for it, or choose another directory with --directory",
            settings.directory.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("failed to lock {}", path.display()))
        }
    }
}

fn interruption() -> io::Result<oneshot::Receiver<()>> {
    let (interrupt, interrupted) = oneshot::channel();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            // Fails only if the rehearsal has already ended.
            let _ = interrupt.send(());
        }
    });
    Ok(interrupted)
}

/// Sets up the load balancer's log. It goes to a file, because the live view uses stderr.
fn start_logging(settings: &Settings) -> anyhow::Result<()> {
    let path = settings.directory.join("load-balancer.log");
    let file = std::fs::create_dir_all(&settings.directory).and_then(|()| File::create(&path));
    let file = file.with_context(|| {
        format!("failed to create {}; choose another directory with --directory", path.display())
    })?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,local_alb=debug"));
    // Fails only if logging is already set up.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Mutex::new(file))
        .with_ansi(false)
        .try_init();
    Ok(())
}

async fn play_all(settings: &Settings) -> anyhow::Result<Report> {
    let mut report = Report {
        settings: report::Settings {
            rps: settings.rps,
            reboot_time_s: settings.reboot_time().as_secs_f64(),
            nodes: settings.nodes,
        },
        ..Report::default()
    };
    let scenarios = scenarios(settings.play);
    for (number, &scenario) in (1..).zip(scenarios) {
        let outcome = scenario::play(scenario, settings, (number, scenarios.len()))
            .await
            .with_context(|| format!("failed to play the scenario {scenario}"))?;
        match scenario {
            Scenario::Naive => report.naive = Some(outcome),
            Scenario::Graceful => report.graceful = Some(outcome),
        }
    }
    Ok(report)
}

/// The scenarios to play, in order.
fn scenarios(play: Play) -> &'static [Scenario] {
    match play {
        Play::Compare => &[Scenario::Naive, Scenario::Graceful],
        Play::Naive => &[Scenario::Naive],
        Play::Graceful => &[Scenario::Graceful],
    }
}

/// Writes and prints the results. Returns the exit code.
fn tell(settings: &Settings, report: &Report) -> anyhow::Result<ExitCode> {
    let report_path = settings.directory.join("report.json");
    let chart_path = settings.directory.join("chart.svg");
    report.write(&report_path).with_context(|| format!("failed to write {}", report_path.display()))?;
    std::fs::write(&chart_path, chart::draw(report))
        .with_context(|| format!("failed to write {}", chart_path.display()))?;

    let broken = promises::broken(report);
    let mut out = io::stdout().lock();
    write!(out, "\n{}\n", table::side_by_side(report))?;
    writeln!(out, "report {}\nchart  {}\n", report_path.display(), chart_path.display())?;
    for promise in &broken {
        writeln!(out, "broken: {promise}")?;
    }
    let void = promises::void(report);
    for why in &void {
        writeln!(out, "void: {why}")?;
    }
    if !broken.is_empty() {
        return Ok(ExitCode::from(EXIT_PROMISE_BROKEN));
    }
    if !void.is_empty() {
        writeln!(
            out,
            "The load stalled, so this run proves nothing. Run it again, with less work beside it."
        )?;
        return Ok(ExitCode::from(EXIT_VOID));
    }
    if let Some(graceful) = &report.graceful {
        let (nodes, requests) = (graceful.nodes.len(), figures::count(graceful.requests));
        writeln!(
            out,
            "With node-agent, {nodes} nodes were rebooted and none of {requests} requests failed."
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Settings, clap::Error> {
        Settings::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn without_arguments_both_scenarios_are_compared() {
        let settings = parse("rehearsal").unwrap();
        assert_eq!(scenarios(settings.play), [Scenario::Naive, Scenario::Graceful]);
        assert_eq!((settings.rps, settings.nodes, settings.reboot_time().as_secs()), (200, 3, 4));
    }

    #[test]
    fn numbers_out_of_range_are_wrong_usage() {
        for line in
            ["rehearsal --rps 0", "rehearsal naive --nodes 1", "rehearsal --reboot-time -1", "rehearsal all"]
        {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
