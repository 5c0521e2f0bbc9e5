//! The demo service is restarted under load, without an agent: a lame duck loses nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

use hello_service::Settings;
use local_alb::{HealthCheck, Instance, LocalAlb, TargetGroupSettings, TargetHealth};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};

const INTERVAL: Duration = Duration::from_millis(200);
/// Above the interval times the unhealthy threshold, which is 2.
const LAME_DUCK: Duration = Duration::from_millis(700);
const CLIENTS: usize = 24;
const LIMIT: Duration = Duration::from_secs(30);

/// A service at one address, and how to stop it.
struct Service {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Service {
    async fn start(at: SocketAddr) -> Service {
        let listener = TcpListener::bind(at).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let settings = Settings { lame_duck: LAME_DUCK, ..Settings::default() };
        let ended = tokio::spawn(async move {
            let stopped = async move { drop(stopped.await) };
            hello_service::serve(listener, settings, stopped).await.unwrap();
        });
        Service { stop, ended }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(LIMIT, self.ended).await.unwrap().unwrap();
    }
}

async fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Clients that keep their connections, until they are told to stop. Returns the first failure.
async fn load(url: String, stop: Arc<AtomicBool>, answered: Arc<AtomicU64>) -> Option<String> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    while !stop.load(Relaxed) {
        match client.get(&url).send().await {
            Ok(answer) if answer.status().is_success() => answered.fetch_add(1, Relaxed),
            Ok(answer) => return Some(format!("answered {}", answer.status())),
            Err(error) => return Some(format!("{error:?}")),
        };
        // Between two requests the connection is idle, as most are.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn restarted_twenty_times_under_keep_alive_load_no_request_is_lost() {
    let alb = LocalAlb::new(local_alb::Settings {
        propagation_lag: Duration::from_millis(100),
        ..local_alb::Settings::default()
    });
    let addresses = [free().await, free().await];
    let ids = ["i-0a000001", "i-0a000002"];
    for id in ids {
        let zone = "us-east-1a".to_owned();
        alb.add_instance(Instance { id: id.to_owned(), address: [127, 0, 0, 1].into(), zone });
    }
    let mut services = Vec::new();
    for at in addresses {
        services.push(Some(Service::start(at).await));
    }
    let targets = ids.iter().zip(addresses).map(|(id, at)| ((*id).to_owned(), at.port())).collect();
    let health_check = HealthCheck { interval: INTERVAL, ..HealthCheck::default() };
    let group = TargetGroupSettings { targets, health_check, ..TargetGroupSettings::default() };
    let arn = alb.create_target_group(group).unwrap();
    let healthy = async |count: usize| {
        let begun = Instant::now();
        let is = |health| alb.targets(&arn).iter().filter(|target| target.state == health).count();
        while is(TargetHealth::Healthy) != count {
            assert!(begun.elapsed() < LIMIT, "{:?}", alb.targets(&arn));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    healthy(2).await;
    let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", front.local_addr().unwrap());
    let proxy = alb.aws().listener(&arn);
    tokio::spawn(async move { local_alb::serve(front, proxy, std::future::pending()).await });

    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(load(url.clone(), stop.clone(), answered.clone()));
    }
    for restart in 0..20 {
        let number = restart % 2;
        services[number].take().unwrap().stop().await;
        services[number] = Some(Service::start(addresses[number]).await);
        healthy(2).await;
    }
    stop.store(true, Relaxed);
    let failures: Vec<String> = clients.join_all().await.into_iter().flatten().collect();
    assert!(failures.is_empty(), "{failures:?}");
    assert!(answered.load(Relaxed) > 10_000, "{} requests", answered.load(Relaxed));
}
