//! Reboots, switches off and upgrades three machines with their own systemd under load, and kills their agents.
//!
//! scripts/check-reboots prepares the machines and starts this program. It needs root and systemd-nspawn.
//!
//!     reboots DIRECTORY-OF-THE-MACHINES HELLO-SERVICE.deb NODE-AGENT.deb NEWER-NODE-AGENT.deb
//!
//! The machines share the host's network. Each service has its own loopback address.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the results are its output")]

mod cgroup;
mod chapters;
mod container;
mod estate;
mod node;
mod order;
mod patience;
mod ssm;

// The load generator of the rehearsal.
#[allow(dead_code, reason = "the rehearsal uses more of it")]
#[path = "../../src/clock.rs"]
mod clock;
#[allow(dead_code, reason = "the rehearsal uses more of it")]
#[path = "../../src/load.rs"]
mod load;

// The stand-in for the SSM agent of the tests.
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "the tests use more of it")]
#[path = "../../tests/ssm_agent/mod.rs"]
mod ssm_agent;

// The terminal of the tests.
#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the tests use more of it"
)]
#[path = "../../tests/terminal/pty.rs"]
mod pty;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use chapters::Story;
use estate::Estate;
use node::Node;

const SERVICES: [Ipv4Addr; 3] =
    [Ipv4Addr::new(127, 0, 0, 21), Ipv4Addr::new(127, 0, 0, 22), Ipv4Addr::new(127, 0, 0, 23)];

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    let began = std::time::SystemTime::now();
    match play().await {
        Ok(()) => {
            println!("every promise was kept ({:.0} s)", began.elapsed().unwrap_or_default().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("check-reboots: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn play() -> anyhow::Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [directory, hello_service, node_agent, newer] = arguments.as_slice() else {
        bail!(
            "usage: reboots DIRECTORY-OF-THE-MACHINES HELLO-SERVICE.deb NODE-AGENT.deb NEWER-NODE-AGENT.deb"
        );
    };
    let directory = std::path::absolute(directory)?;
    let estate = Estate::open(&SERVICES).await?;
    let packages = [hello_service.clone(), node_agent.clone()];
    let [one, two, three] = estate.addresses.as_slice() else { bail!("three services make three machines") };
    let made = tokio::try_join!(
        machine(&directory, "node-1", one, &packages),
        machine(&directory, "node-2", two, &packages),
        machine(&directory, "node-3", three, &packages),
    )?;
    let story = Story { estate: &estate, newer };
    let (mut one, two, three) = made;
    let told = story.tell(&mut one, &two, &three).await;
    if told.is_err() {
        eprintln!(
            "the machines' journals: journalctl --directory={}/node-1/var/log/journal",
            directory.display()
        );
    }
    told
}

async fn machine(
    directory: &Path,
    name: &str,
    address: &estate::Address,
    packages: &[PathBuf],
) -> anyhow::Result<Node> {
    let root = directory.join(name);
    if root.exists() {
        std::fs::remove_dir_all(&root).with_context(|| format!("failed to remove {}", root.display()))?;
    }
    let node = Node::boot(&directory.join("base"), &root, address.clone()).await?;
    node.install(packages).await?;
    Ok(node)
}
