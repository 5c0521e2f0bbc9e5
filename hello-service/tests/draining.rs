//! The service over a real socket: what a client sees while it stops.
#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use std::{net::SocketAddr, time::Duration};

use hello_service::{Ended, Settings, serve};
use reqwest::{Client, Response, StatusCode};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<std::io::Result<Ended>>,
}

impl Running {
    async fn start(drain_limit: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let settings = Settings { hostname: Some("web-1".into()), drain_limit };
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
        while self.get(&watcher, "/in-flight").await.unwrap().text().await.unwrap() != "1" {}
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
    while !service.refuses_connections().await {}

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
