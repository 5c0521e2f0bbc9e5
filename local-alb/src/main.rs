//! The `local-alb` program.
//!
//! Exit codes: 0 stopped by a signal, 1 a listener failed, 2 wrong usage or configuration.

use clap::Parser;
use local_alb::config::Config;
use local_alb::{LocalAlb, Served, serve};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A local stand-in for an AWS Application Load Balancer: ELBv2 API, health checks, data plane and instance metadata.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Configuration file; local-alb/example.toml in the source shows every section
    #[arg(long)]
    config: PathBuf,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let config = match Config::load(&cli.config) {
        Ok(config) => config,
        Err(error) => return fail(&error.to_string(), 2),
    };
    let started = tokio::runtime::Runtime::new().map_err(|error| error.to_string());
    match started.map_err(Stopped::Failed).and_then(|runtime| runtime.block_on(run(config))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stopped::Failed(error)) => fail(&error, 1),
        Err(Stopped::Misconfigured(error)) => fail(&error, 2),
    }
}

fn fail(error: &str, code: u8) -> ExitCode {
    // A closed terminal cannot be reported anywhere.
    let _ = writeln!(std::io::stderr(), "local-alb: {error}");
    ExitCode::from(code)
}

/// Why the program ends before it is told to.
enum Stopped {
    Failed(String),
    Misconfigured(String),
}

impl From<String> for Stopped {
    fn from(error: String) -> Stopped {
        Stopped::Failed(error)
    }
}

async fn run(config: Config) -> Result<(), Stopped> {
    let wrong = |error: &dyn std::fmt::Display| Stopped::Misconfigured(error.to_string());
    let alb = LocalAlb::new(config.settings);
    config.instances.into_iter().for_each(|instance| alb.add_instance(instance));
    let export = "export AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2=".to_owned();
    let mut routers: Vec<(SocketAddr, Served, String)> =
        vec![(config.api, alb.aws().elastic_load_balancing().into(), export)];
    let mut arns = BTreeMap::new();
    for group in config.groups {
        let name = group.settings.name.clone();
        let arn = alb.create_target_group(group.settings).map_err(|error| wrong(&error))?;
        routers.push((group.listen, alb.aws().listener(&arn), format!("target group {name}: ")));
        arns.insert(name, arn);
    }
    if let Some(scaling) = config.auto_scaling {
        for group in scaling.groups {
            let name = group.name.clone();
            alb.set_auto_scaling_group(&name, group.attached(&arns).map_err(|error| wrong(&error))?);
        }
        let export = "export AWS_ENDPOINT_URL_AUTO_SCALING=".to_owned();
        routers.push((scaling.api, alb.aws().auto_scaling().into(), export));
    }
    for (id, address) in config.imds {
        routers.push((
            address,
            alb.aws().instance_metadata(&id).into(),
            format!("on {id}: export AWS_EC2_METADATA_SERVICE_ENDPOINT="),
        ));
    }
    let stop = stopped().map_err(|error| format!("failed to listen for signals: {error}"))?;
    let mut servers = JoinSet::new();
    for (address, router, what) in routers {
        let listener = bind(address).await?;
        let bound = listener.local_addr().map_err(|error| error.to_string())?;
        let _ = writeln!(std::io::stdout(), "{what}http://{bound}");
        let mut stop = stop.clone();
        let until = async move {
            // An error means that the sender is gone and no signal can arrive.
            let _ = stop.wait_for(|stopped| *stopped).await;
        };
        servers.spawn(async move { serve(listener, router, until).await });
    }
    while let Some(ended) = servers.join_next().await {
        ended.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    }
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    if !address.ip().is_loopback() {
        return Err(local_alb::ServeError::NotLoopback(address).to_string());
    }
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("failed to listen on {address}: {error}; choose another address"))
}

fn stopped() -> std::io::Result<watch::Receiver<bool>> {
    let (stop, stopped) = watch::channel(false);
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if stop.send_replace(true) {
                // The second one: as if it were not handled.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
        }
    });
    Ok(stopped)
}
