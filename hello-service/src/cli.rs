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

/// A web service that returns its host name, and drains before it stops.
///
/// SIGTERM and SIGINT stop it: `/healthz` returns 503 and every answer closes its connection; after the lame duck it
/// accepts no new connections, and requests in flight finish. A second signal ends it at once.
///
/// Exit codes: 0 stopped by a signal, 1 failed to listen or to serve, 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "hello-service", version)]
struct Cli {
    /// Address and port to listen on
    #[arg(long, env = "HELLO_SERVICE_LISTEN", default_value = "0.0.0.0:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,

    /// Name in the greeting [default: the kernel's host name]
    #[arg(long, env = "HELLO_SERVICE_HOSTNAME", value_name = "NAME")]
    hostname: Option<String>,

    /// Time in which connections are still accepted after SIGTERM or SIGINT; ends early once nothing is connected. Above the
    /// health check interval times the unhealthy threshold, no request is lost. 0 if the node has been drained before
    #[arg(long, env = "HELLO_SERVICE_LAME_DUCK", default_value_t = 15, value_name = "SECONDS")]
    lame_duck: u32,

    /// Time limit for requests in flight after that
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

/// Runs the program. `args` starts with the program's name, as in `std::env::args_os()`.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // A closed terminal cannot be reported anywhere.
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
    // Fails only if the caller has already set up logging, which then stays in use.
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let _ = log.with_env_filter(filter).try_init();
}

fn listen_and_serve(cli: Cli) -> Result<(), Error> {
    let (stop, stopped) = oneshot::channel();
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(Error::Start)?;
    std::thread::spawn(move || {
        let mut stop = Some(stop);
        for signal in signals.forever() {
            let Some(stop) = stop.take() else {
                // The second one: as if it were not handled.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
                continue;
            };
            tracing::info!(
                signal,
                "shutting down: health checks fail, connections are accepted until nobody comes"
            );
            let _ = stop.send(());
        }
    });

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::Start)?;
    let ended = runtime.block_on(async {
        let listener =
            TcpListener::bind(cli.listen).await.map_err(|error| Error::Listen(cli.listen, error))?;
        let address = listener.local_addr().map_err(Error::Start)?;
        tracing::info!(%address, "listening");
        let settings = Settings {
            hostname: cli.hostname,
            lame_duck: Duration::from_secs(cli.lame_duck.into()),
            drain_limit: Duration::from_secs(cli.drain_limit.into()),
        };
        let shutdown = async move {
            let _ = stopped.await;
        };
        serve(listener, settings, shutdown).await.map_err(Error::Serve)
    })?;
    // Closes the connections that are still open after the drain limit.
    runtime.shutdown_background();

    match ended {
        Ended::Drained => tracing::info!("stopped: all requests were answered"),
        Ended::LimitReached { in_flight } => {
            tracing::warn!(in_flight, "stopped at the drain limit: some requests were not answered");
        }
    }
    Ok(())
}
