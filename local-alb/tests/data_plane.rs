//! Requests through the load balancer, over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::Path,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use local_alb::{LocalAlb, Settings};
use support::{alb, group, instance, serve, until, until_state};
use tokio::{net::TcpListener, sync::Notify};

/// A service that says its name, and holds requests to /held until told otherwise.
struct Service {
    port: u16,
    release: Arc<Notify>,
}

async fn service(name: &'static str, healthz: StatusCode) -> Service {
    let release = Arc::new(Notify::new());
    let gate = Arc::clone(&release);
    let held = async move || {
        gate.notified().await;
        name
    };
    let headers = async |headers: HeaderMap| {
        headers
            .iter()
            .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()))
            .collect::<String>()
    };
    let router = Router::new()
        .route("/", get(async move || name))
        .route("/held", get(held))
        .route("/headers", get(headers))
        .route("/echo", post(async |body: Bytes| body))
        .route("/status/{code}", get(async |Path(code): Path<u16>| StatusCode::from_u16(code).unwrap()))
        .route("/healthz", get(async move || healthz));
    Service { port: serve(router).await, release }
}

struct Front {
    alb: LocalAlb,
    arn: String,
    url: String,
    http: reqwest::Client,
}

impl Front {
    async fn new(alb: LocalAlb, targets: &[(&str, u16)]) -> Self {
        for (id, _) in targets {
            alb.add_instance(instance(id));
        }
        let arn = alb.create_target_group(group("demo", targets)).unwrap();
        let url = format!("http://127.0.0.1:{}", serve(alb.proxy(&arn)).await);
        Self { alb, arn, url, http: reqwest::Client::new() }
    }

    async fn healthy(self) -> Self {
        until("all in service", async || self.alb.instances_out(&self.arn) == 0).await;
        self
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    fn in_background(&self, path: &str) -> tokio::task::JoinHandle<u16> {
        let request = self.http.get(format!("{}{path}", self.url));
        tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
    }

    fn in_flight(&self) -> usize {
        self.alb.targets(&self.arn).iter().map(|target| target.in_flight).sum()
    }
}

#[tokio::test]
async fn requests_go_round_robin_and_carry_where_they_came_from() {
    let (a, b) = (service("a", StatusCode::OK).await, service("b", StatusCode::OK).await);
    let front = Front::new(alb(), &[("i-1", a.port), ("i-2", b.port)]).await.healthy().await;
    let mut answers = BTreeMap::new();
    for _ in 0..10 {
        *answers.entry(front.get("/").await).or_insert(0) += 1;
    }
    assert_eq!(answers, [((200, "a".to_owned()), 5), ((200, "b".to_owned()), 5)].into());
    let request = front.http.get(format!("{}/headers", front.url)).header("x-forwarded-for", "10.0.0.9");
    let headers = request.send().await.unwrap().text().await.unwrap();
    assert!(headers.contains("x-forwarded-for: 10.0.0.9, 127.0.0.1\n"), "{headers}");
    assert!(headers.contains("x-forwarded-proto: http\n"), "{headers}");
    assert_eq!(front.get("/status/404").await.0, 404);
    let body = vec![7_u8; 3_000_000];
    let echo = front.http.post(format!("{}/echo", front.url)).body(body.clone()).send().await.unwrap();
    // The service takes 2 MB at most.
    assert_eq!(echo.status(), 413);
    let echo =
        front.http.post(format!("{}/echo", front.url)).body(body[..1_000_000].to_vec()).send().await.unwrap();
    assert_eq!(echo.bytes().await.unwrap().len(), 1_000_000);
}

#[tokio::test]
async fn new_requests_stop_only_after_the_lag_and_those_in_flight_finish() {
    let (a, b) = (service("a", StatusCode::OK).await, service("b", StatusCode::OK).await);
    let lag = Duration::from_millis(400);
    let slow = LocalAlb::new(Settings { propagation_lag: lag, ..Settings::default() });
    let front = Front::new(slow, &[("i-1", a.port), ("i-2", b.port)]).await.healthy().await;
    let held = [front.in_background("/held"), front.in_background("/held")];
    until("two in flight", async || front.in_flight() == 2).await;
    let since = tokio::time::Instant::now();
    front.alb.deregister(&front.arn, "i-1", a.port);
    let early = [front.get("/").await.1, front.get("/").await.1];
    assert!(early.contains(&"a".to_owned()) || since.elapsed() > lag, "the lag is over already: {early:?}");
    tokio::time::sleep_until(since + lag).await;
    for _ in 0..10 {
        assert_eq!(front.get("/").await, (200, "b".to_owned()));
    }
    a.release.notify_waiters();
    b.release.notify_waiters();
    for held in held {
        assert_eq!(held.await.unwrap(), 200);
    }
}

#[tokio::test]
async fn at_the_end_of_the_delay_requests_in_flight_get_502() {
    let a = service("a", StatusCode::OK).await;
    let front = Front::new(alb(), &[("i-1", a.port)]).await.healthy().await;
    let held = front.in_background("/held");
    until("one in flight", async || front.in_flight() == 1).await;
    front.alb.deregister(&front.arn, "i-1", a.port);
    assert_eq!(held.await.unwrap(), 502);
    until_state(&front.alb, &front.arn, "i-1", "unused").await;
    let (status, why) = front.get("/").await;
    assert_eq!(status, 503, "{why}");
    assert_eq!(front.in_flight(), 0);
}

#[tokio::test]
async fn when_nobody_is_healthy_everybody_gets_requests() {
    let (a, b) = (service("a", StatusCode::SERVICE_UNAVAILABLE).await, service("b", StatusCode::OK).await);
    let front = Front::new(alb(), &[("i-1", a.port), ("i-2", b.port)]).await;
    until_state(&front.alb, &front.arn, "i-1", "unhealthy").await;
    until_state(&front.alb, &front.arn, "i-2", "healthy").await;
    for _ in 0..4 {
        assert_eq!(front.get("/").await.1, "b");
    }
    front.alb.deregister(&front.arn, "i-2", b.port);
    until("requests to the unhealthy one", async || front.get("/").await == (200, "a".to_owned())).await;
}

#[tokio::test]
async fn a_refused_connection_is_502_and_silence_is_504() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let impatient = Settings {
        propagation_lag: support::LAG,
        idle_timeout: Duration::from_millis(200),
        ..Settings::default()
    };
    let front = Front::new(LocalAlb::new(impatient), &[("i-1", port)]).await;
    until_state(&front.alb, &front.arn, "i-1", "unhealthy").await;
    assert_eq!(front.get("/").await.0, 504);
    drop(silent);
    assert_eq!(front.get("/").await.0, 502);
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let error = local_alb::serve(listener, alb().api(), std::future::pending()).await.unwrap_err();
    assert!(error.to_string().contains("0.0.0.0") && error.to_string().contains("loopback"), "{error}");
}
