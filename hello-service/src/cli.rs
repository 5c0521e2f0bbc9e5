//! The command line: settings in, exit code out.

use std::{
    ffi::OsString,
    io::{self, IsTerminal, Write},
    net::SocketAddr,
    process::ExitCode,
    time::Duration,
};

use clap::{CommandFactory, Parser};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use tokio::{net::TcpListener, sync::oneshot};

use crate::{Ended, Settings, serve};

const EXIT_FAILED: u8 = 1;

/// A web service that answers with its host name, and drains when it is asked to stop.
///
/// SIGTERM and SIGINT stop it: no new connections, `/healthz` answers 503, and requests in flight finish.
///
/// Exit codes: 0 stopped when asked to, 1 failed to listen or to serve, 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "hello-service", version)]
struct Cli {
    /// Address and port to listen on
    #[arg(long, env = "HELLO_SERVICE_LISTEN", default_value = "0.0.0.0:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,

    /// Name in the greeting, instead of the kernel's host name
    #[arg(long, env = "HELLO_SERVICE_HOSTNAME", value_name = "NAME")]
    hostname: Option<String>,

    /// Seconds that requests in flight may take to finish after SIGTERM or SIGINT
    #[arg(long, env = "HELLO_SERVICE_DRAIN_LIMIT", default_value_t = 30, value_name = "SECONDS")]
    drain_limit: u32,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("failed to start: {0}")]
    Start(#[source] io::Error),
    #[error("failed to listen on {0}: {1}; choose a free port and an address of this machine with --listen")]
    Listen(SocketAddr, #[source] io::Error),
    #[error("failed to serve: {0}")]
    Serve(#[source] io::Error),
}

/// The command line, for manual pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The whole program. `args` begin with the program's name, as `std::env::args_os()` gives them.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // There is nowhere left to report that the terminal is gone.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    start_logging();
    match listen_and_serve(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "hello-service: {error}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // Fails only when the caller has set up logging already, and then that is what we want.
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let _ = log.with_env_filter(filter).try_init();
}

fn listen_and_serve(cli: Cli) -> Result<(), Error> {
    let (stop, stopped) = oneshot::channel();
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(Error::Start)?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            tracing::info!(signal, "shutting down: no new connections, requests in flight finish");
            let _ = stop.send(());
        }
    });

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::Start)?;
    let ended = runtime.block_on(async {
        let listener =
            TcpListener::bind(cli.listen).await.map_err(|error| Error::Listen(cli.listen, error))?;
        let address = listener.local_addr().map_err(Error::Start)?;
        tracing::info!(%address, "listening");
        let settings =
            Settings { hostname: cli.hostname, drain_limit: Duration::from_secs(u64::from(cli.drain_limit)) };
        let shutdown = async move {
            let _ = stopped.await;
        };
        serve(listener, settings, shutdown).await.map_err(Error::Serve)
    })?;
    // Connections beyond the drain limit are cut off here instead of holding up the process.
    runtime.shutdown_background();

    match ended {
        Ended::Drained => tracing::info!("stopped: every request was answered"),
        Ended::LimitReached { in_flight } => {
            tracing::warn!(in_flight, "stopped at the drain limit: requests were cut off");
        }
    }
    Ok(())
}
