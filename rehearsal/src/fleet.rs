//! The fleet: a load balancer in this process and the nodes behind it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use local_alb::{Instance, LocalAlb, TargetGroupSettings};
use tokio::{net::TcpListener, task::JoinSet, time::timeout};

use crate::{
    agent::TARGET_GROUP,
    clock::Clock,
    load::Tally,
    node::Node,
    place::Place,
    sampler::{self, Watched},
    settings::Settings,
};

/// Time limit for new nodes to be in service.
const IN_SERVICE_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// Attempts to find a port that is free on every node. The first nearly always succeeds.
const PORT_ATTEMPTS: u32 = 100;
/// How long a change takes to reach the load balancer's data plane. On AWS it takes several seconds.
const PROPAGATION_LAG: Duration = Duration::from_secs(1);
/// Longer than any request takes here, so that no request in flight is cut off.
const DEREGISTRATION_DELAY_S: u32 = 8;
const DELAY_ATTRIBUTE: &str = "deregistration_delay.timeout_seconds";

/// A load balancer and its addresses. Its servers stop when it is dropped.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// The URL for the clients' requests.
    pub front_url: String,
    alb: LocalAlb,
    target_group: String,
    _servers: JoinSet<()>,
}

impl Fleet {
    /// Starts the fleet and waits until every node is in service. Empties `directory` first.
    pub(crate) async fn start(directory: &Path, settings: &Settings) -> anyhow::Result<(Self, Vec<Node>)> {
        let directory =
            empty(directory).with_context(|| format!("failed to empty {}", directory.display()))?;
        let addresses: Vec<Ipv4Addr> =
            (2..).take(settings.nodes.into()).map(|n| Ipv4Addr::new(127, 0, 0, n)).collect();
        let port = port_free_on(&addresses).await?;

        let alb = LocalAlb::new(local_alb::Settings {
            propagation_lag: PROPAGATION_LAG,
            ..local_alb::Settings::default()
        });
        let mut servers = JoinSet::new();
        let api = listener().await?;
        let api_url = url(&api)?;

        let mut nodes = Vec::new();
        for (number, address) in (1..).zip(addresses) {
            let imds = listener().await?;
            let place = Place {
                name: format!("node-{number}"),
                instance_id: format!("i-0a{number:015}"),
                address,
                port,
                directory: directory.join(format!("node-{number}")),
                api_url: api_url.clone(),
                imds_url: url(&imds)?,
            };
            alb.add_instance(instance(&place));
            serve(&mut servers, imds, alb.aws().instance_metadata(&place.instance_id));
            nodes.push(Node::boot(place, settings.reboot_time())?);
        }
        for node in &mut nodes {
            let name = node.place.name.clone();
            timeout(IN_SERVICE_LIMIT, node.answering())
                .await
                .with_context(|| format!("the service of {name} does not respond; see its service.log"))?;
        }

        let target_group = alb.create_target_group(target_group(&nodes, port))?;
        let front = listener().await?;
        let front_url = url(&front)?;
        serve(&mut servers, front, alb.aws().listener(&target_group));
        serve(&mut servers, api, alb.aws().elastic_load_balancing());
        let fleet = Self { front_url, alb, target_group, _servers: servers };
        timeout(IN_SERVICE_LIMIT, fleet.all_in_service())
            .await
            .context("some nodes did not become healthy; see the nodes' service.log")?;
        Ok((fleet, nodes))
    }

    pub(crate) async fn all_in_service(&self) {
        while self.alb.instances_out(&self.target_group) > 0 {
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether the load balancer sends requests to the node at `place`.
    pub(crate) fn in_service(&self, place: &Place) -> bool {
        sampler::in_service(&self.alb, &self.target_group, place)
    }

    pub(crate) fn watched(&self, nodes: &[Node], tally: Arc<Tally>, clock: Clock) -> Watched {
        Watched {
            alb: self.alb.clone(),
            target_group: self.target_group.clone(),
            nodes: nodes.iter().map(|node| (node.place.clone(), node.activity())).collect(),
            tally,
            clock,
        }
    }
}

/// The health check is the default of local-alb: every 6 s, both thresholds 2.
fn target_group(nodes: &[Node], port: u16) -> TargetGroupSettings {
    TargetGroupSettings {
        name: TARGET_GROUP.to_owned(),
        port,
        attributes: [(DELAY_ATTRIBUTE.to_owned(), DEREGISTRATION_DELAY_S.to_string())].into(),
        targets: nodes.iter().map(|node| (node.place.instance_id.clone(), port)).collect(),
        ..TargetGroupSettings::default()
    }
}

fn instance(place: &Place) -> Instance {
    Instance {
        id: place.instance_id.clone(),
        address: IpAddr::V4(place.address),
        zone: "us-east-1a".to_owned(),
    }
}

fn serve(servers: &mut JoinSet<()>, listener: TcpListener, router: impl Into<local_alb::Served>) {
    let router = router.into();
    servers.spawn(async move {
        if let Err(error) = local_alb::serve(listener, router, std::future::pending()).await {
            tracing::error!(%error, "a server of the load balancer has stopped");
        }
    });
}

/// A file that marks the directories that a rehearsal has made.
const MADE_HERE: &str = ".made-by-rehearsal";

/// Empties a directory that an earlier rehearsal has made. Another one may hold anything.
fn empty(directory: &Path) -> io::Result<PathBuf> {
    let marker = directory.join(MADE_HERE);
    if directory.exists() {
        if !marker.exists() && std::fs::read_dir(directory)?.next().is_some() {
            let why = "no rehearsal has made it; remove it, or choose another directory with --directory";
            return Err(io::Error::other(why));
        }
        std::fs::remove_dir_all(directory)?;
    }
    std::fs::create_dir_all(directory)?;
    std::fs::write(marker, "")?;
    std::path::absolute(directory)
}

async fn listener() -> anyhow::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("failed to listen on 127.0.0.1")
}

fn url(listener: &TcpListener) -> anyhow::Result<String> {
    let address = listener.local_addr().context("failed to read the address of a listener")?;
    Ok(format!("http://{address}"))
}

/// A port that is free on every one of `addresses`: a target group has one port for all its instances.
async fn port_free_on(addresses: &[Ipv4Addr]) -> anyhow::Result<u16> {
    let mut attempt = 1;
    loop {
        match same_port(addresses).await {
            Ok(port) => return Ok(port),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempt < PORT_ATTEMPTS => attempt += 1,
            Err(error) => {
                let nodes = addresses.iter().map(Ipv4Addr::to_string).collect::<Vec<_>>().join(", ");
                return Err(error).context(format!(
                    "failed to find a port that is free on {nodes}; if these are not loopback addresses yet, \
                     add them to the loopback interface"
                ));
            }
        }
    }
}

async fn same_port(addresses: &[Ipv4Addr]) -> io::Result<u16> {
    let mut port = 0;
    let mut held = Vec::new();
    for &address in addresses {
        let listener = TcpListener::bind((address, port)).await?;
        port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_that_it_has_made_are_emptied() {
        let parent = tempfile::tempdir().unwrap();
        let (new, others) = (parent.path().join("naive"), parent.path().join("graceful"));
        let made = empty(&new).unwrap();
        std::fs::write(made.join("old.log"), "").unwrap();
        empty(&new).unwrap();
        assert!(!made.join("old.log").exists());
        std::fs::create_dir(&others).unwrap();
        std::fs::write(others.join("thesis.tex"), "").unwrap();
        let refused = empty(&others).unwrap_err().to_string();
        assert!(refused.contains("no rehearsal has made it"), "{refused}");
        assert!(others.join("thesis.tex").exists());
    }
}
