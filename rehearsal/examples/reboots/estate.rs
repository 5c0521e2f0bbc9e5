//! The load balancer of the machines, and the load on it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, ensure};
use local_alb::{HealthCheck, Instance, LocalAlb, TargetGroupSettings};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::load::{Outcome, Tally, generate};
use crate::patience::until;

pub(crate) const TARGET_GROUP: &str = "reboots";
/// The most nodes that may be out of service at once: the default of `node-agent/max-unavailable`.
const MAX_UNAVAILABLE: usize = 1;
const REQUESTS_PER_SECOND: u32 = 100;
/// Load before and after a chapter.
const MARGIN: Duration = Duration::from_secs(1);
/// Shorter than any relevant state lasts.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// The addresses of one machine.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) instance_id: String,
    pub(crate) service: (Ipv4Addr, u16),
    pub(crate) api_url: String,
    pub(crate) imds_url: String,
}

/// The load balancer and its addresses.
#[derive(Debug)]
pub(crate) struct Estate {
    pub(crate) alb: LocalAlb,
    pub(crate) group: String,
    pub(crate) addresses: Vec<Address>,
    front_url: String,
    _servers: JoinSet<()>,
}

impl Estate {
    /// Starts a load balancer with a target on each of `services`. The services need not run yet.
    pub(crate) async fn open(services: &[Ipv4Addr]) -> anyhow::Result<Estate> {
        let port = free_port(services).await?;
        let alb = LocalAlb::new(local_alb::Settings::default());
        let mut servers = JoinSet::new();
        let api_url = serve(&mut servers, alb.aws().elastic_load_balancing()).await?;
        let mut addresses = Vec::new();
        for (number, address) in (1..).zip(services) {
            let instance_id = format!("i-0c{number:015}");
            let zone = "us-east-1a".to_owned();
            alb.add_instance(Instance { id: instance_id.clone(), address: (*address).into(), zone });
            let imds_url = serve(&mut servers, alb.aws().instance_metadata(&instance_id)).await?;
            addresses.push(Address {
                instance_id,
                service: (*address, port),
                api_url: api_url.clone(),
                imds_url,
            });
        }
        let group = alb.create_target_group(TargetGroupSettings {
            name: TARGET_GROUP.to_owned(),
            port,
            // Longer than any request takes here.
            attributes: [("deregistration_delay.timeout_seconds".to_owned(), "8".to_owned())].into(),
            health_check: HealthCheck {
                interval: Duration::from_secs(2),
                timeout: Duration::from_secs(1),
                ..HealthCheck::default()
            },
            targets: addresses.iter().map(|address| (address.instance_id.clone(), port)).collect(),
            ..TargetGroupSettings::default()
        })?;
        let front_url = serve(&mut servers, alb.aws().listener(&group)).await?;
        Ok(Estate { alb, group, addresses, front_url, _servers: servers })
    }

    /// The state of an instance's target, by the load balancer's name; `None` without a target.
    pub(crate) fn state(&self, instance_id: &str) -> Option<String> {
        let targets = self.alb.targets(&self.group);
        targets.into_iter().find(|target| target.id == instance_id).map(|target| target.state.to_string())
    }

    pub(crate) async fn all_in_service(&self) -> anyhow::Result<()> {
        until("all nodes are in service", || self.alb.instances_out(&self.group) == 0).await
    }

    pub(crate) fn leases(&self) -> Vec<String> {
        let tags = self.alb.tags(&self.group);
        tags.into_iter()
            .filter(|(key, _)| key.starts_with("node-agent/lease"))
            .map(|(k, v)| k + "=" + &v)
            .collect()
    }

    /// Plays a chapter under load. No request may fail, and no more nodes may be out at once than the policy allows.
    pub(crate) async fn under_load(
        &self,
        title: &str,
        chapter: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<String> {
        let clock = Clock::start();
        let (stop, stopped) = watch::channel(false);
        let load =
            generate(self.front_url.clone(), REQUESTS_PER_SECOND, clock, Arc::new(Tally::default()), stopped);
        let load = load.context("failed to start the load generator")?;
        let most_out = Arc::new(AtomicUsize::new(0));
        let sampler = tokio::spawn(sample(self.alb.clone(), self.group.clone(), most_out.clone()));
        tokio::time::sleep(MARGIN).await;
        let played = chapter.await;
        tokio::time::sleep(MARGIN).await;
        stop.send_replace(true);
        let load = load.await.context("the load generator failed")?.context("failed to set up the load")?;
        let requests = &load.requests;
        ensure!(
            requests.len() == load.sent.len(),
            "{} requests were sent, {} have a result",
            load.sent.len(),
            requests.len()
        );
        sampler.abort();
        played?;
        let failed: Vec<Outcome> =
            requests.iter().map(|request| request.outcome).filter(|outcome| outcome.is_failure()).collect();
        ensure!(failed.is_empty(), "{} of {} requests failed: {failed:?}", failed.len(), requests.len());
        let most_out = most_out.load(Relaxed);
        ensure!(
            most_out <= MAX_UNAVAILABLE,
            "{most_out} nodes were out of service at once; the limit is {MAX_UNAVAILABLE}"
        );
        let slowest = requests.iter().map(|request| request.ended - request.due).fold(0.0, f64::max);
        ensure!(slowest > 1.9, "no request was slow, so the chapter shows little");
        Ok(format!(
            "{title:<58} {:>6} {:>7} {most_out:>5} {:>5.0}",
            requests.len(),
            failed.len(),
            clock.now()
        ))
    }
}

async fn sample(alb: LocalAlb, group: String, most_out: Arc<AtomicUsize>) {
    loop {
        most_out.fetch_max(alb.instances_out(&group), Relaxed);
        tokio::time::sleep(SAMPLE_EVERY).await;
    }
}

async fn serve(servers: &mut JoinSet<()>, router: impl Into<local_alb::Served>) -> anyhow::Result<String> {
    let router = router.into();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    servers.spawn(async move {
        if let Err(error) = local_alb::serve(listener, router, std::future::pending()).await {
            tracing::error!("a server of the load balancer stopped: {error}");
        }
    });
    Ok(url)
}

/// Finds a port that is free on all addresses, because a target group has one port. If another program takes it first, the
/// services fail to listen and say so.
async fn free_port(addresses: &[Ipv4Addr]) -> anyhow::Result<u16> {
    let mut held = Vec::new();
    let mut port = 0;
    for address in addresses {
        let listener = TcpListener::bind((*address, port)).await.context("failed to find a free port")?;
        port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(port)
}
