//! The service over a real socket: what a client sees while it stops.
#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use std::{net::SocketAddr, time::Duration};

use hello_service::{Ended, Settings, serve};
use reqwest::{Client, Response, StatusCode};
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, timeout},
};

/// A hang is a failure.
const LIMIT: Duration = Duration::from_secs(10);

struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<std::io::Result<Ended>>,
}

impl Running {
    async fn start(drain_limit: Duration) -> Self {
        Self::start_with(Settings { lame_duck: Duration::ZERO, drain_limit, ..Settings::default() }).await
    }

    async fn start_with(settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let settings = Settings { hostname: Some("web-1".into()), ..settings };
        let ended = tokio::spawn(serve(listener, settings, async { stopped.await.unwrap() }));
        Self { address, stop: Some(stop), ended }
    }

    async fn get(&self, client: &Client, path: &str) -> reqwest::Result<Response> {
        client.get(format!("http://{}{path}", self.address)).send().await
    }

    /// Sends a slow request in the background and returns once the service is working on it.
    async fn send_slow(&self, delay: Duration) -> JoinHandle<reqwest::Result<Response>> {
        let request = Client::new().get(format!("http://{}/?delay_ms={}", self.address, delay.as_millis()));
        let slow = tokio::spawn(request.send());
        let watcher = Client::new();
        let count = async || self.get(&watcher, "/in-flight").await.unwrap().text().await.unwrap();
        timeout(LIMIT, async { while count().await != "1" {} }).await.unwrap();
        slow
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    async fn refuses_connections(&self) -> bool {
        self.get(&Client::new(), "/").await.is_err_and(|error| error.is_connect())
    }
}

#[tokio::test]
async fn a_request_in_flight_is_answered_after_shutdown_began() {
    let mut service = Running::start(Duration::from_secs(30)).await;
    let slow = service.send_slow(Duration::from_millis(300)).await;
    service.stop();

    let answer = slow.await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["connection"], "close");
    assert_eq!(answer.text().await.unwrap(), "Hello, World! From web-1\n");
    assert_eq!(service.ended.await.unwrap().unwrap(), Ended::Drained);
}

#[tokio::test]
async fn while_draining_open_connections_are_answered_and_asked_to_close() {
    let mut service = Running::start(Duration::from_secs(30)).await;
    let checker = Client::new();
    assert_eq!(service.get(&checker, "/healthz").await.unwrap().text().await.unwrap(), "ok\n");
    let slow = service.send_slow(Duration::from_secs(60)).await;
    service.stop();
    timeout(LIMIT, async { while !service.refuses_connections().await {} }).await.unwrap();

    let answer = service.get(&checker, "/healthz").await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["connection"], "close");

    // The client of the last request goes away, so nothing is in flight any more.
    slow.abort();
    assert_eq!(service.ended.await.unwrap().unwrap(), Ended::Drained);
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let mut service = Running::start(Duration::from_secs(30)).await;
    let idle = Client::new();
    service.get(&idle, "/").await.unwrap().text().await.unwrap();
    service.stop();
    let ended = tokio::time::timeout(Duration::from_secs(10), &mut service.ended).await;
    assert_eq!(ended.unwrap().unwrap().unwrap(), Ended::Drained);
    assert!(service.get(&idle, "/").await.is_err());
}

#[tokio::test]
async fn a_request_that_takes_too_long_does_not_hold_up_the_end() {
    let mut service = Running::start(Duration::from_millis(50)).await;
    let _slow = service.send_slow(Duration::from_secs(60)).await;
    service.stop();
    assert_eq!(service.ended.await.unwrap().unwrap(), Ended::LimitReached { in_flight: 1 });
}

#[tokio::test]
async fn a_lame_duck_accepts_and_answers_and_asks_everybody_to_leave() {
    let lame_duck = Duration::from_secs(2);
    let mut service = Running::start_with(Settings { lame_duck, ..Settings::default() }).await;
    let kept = Client::new();
    service.get(&kept, "/").await.unwrap().text().await.unwrap();
    service.stop();
    let began = Instant::now();
    let seen = async || {
        let answer = service.get(&Client::new(), "/healthz").await.unwrap();
        (answer.status(), answer.headers()["connection"].to_str().unwrap().to_owned())
    };
    let fails = (StatusCode::SERVICE_UNAVAILABLE, "close".to_owned());
    timeout(LIMIT, async { while seen().await != fails {} }).await.unwrap();
    // On a connection that is kept, and on new ones, for all of the time.
    let mut answered = 0;
    while began.elapsed() < lame_duck - Duration::from_millis(500) {
        for client in [&kept, &Client::new()] {
            let answer = service.get(client, "/").await.unwrap();
            assert_eq!(
                (answer.status(), answer.headers()["connection"].as_bytes()),
                (StatusCode::OK, &b"close"[..])
            );
            answered += 1;
        }
    }
    assert!(answered > 10, "{answered}");
    let ended = timeout(LIMIT, &mut service.ended).await.unwrap();
    assert_eq!(ended.unwrap().unwrap(), Ended::Drained);
    assert!(service.refuses_connections().await);
}

#[tokio::test]
async fn a_lame_duck_that_nobody_comes_to_any_more_ends_early() {
    let lame_duck = Duration::from_secs(3600);
    let mut service = Running::start_with(Settings { lame_duck, ..Settings::default() }).await;
    service.get(&Client::new(), "/").await.unwrap().text().await.unwrap();
    service.stop();
    let ended = timeout(LIMIT, &mut service.ended).await.unwrap();
    assert_eq!(ended.unwrap().unwrap(), Ended::Drained);
}
