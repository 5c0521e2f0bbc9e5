//! Connections on which nothing passes: those of clients, those to targets, and clients that take nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, routing::get};
use local_alb::{LocalAlb, Probe, Probes, Settings};
use support::{
    LAG,
    front::{Front, service},
    serve, until,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};

const LIMIT: Duration = Duration::from_secs(20);
const IDLE: Duration = Duration::from_millis(600);
/// Timers and sockets are that exact on a busy machine, at the early side.
const EARLY: Duration = Duration::from_millis(50);

fn settings() -> Settings {
    Settings { propagation_lag: LAG, idle_timeout: IDLE, ..Settings::default() }
}

async fn client(front: &Front) -> TcpStream {
    TcpStream::connect(front.url.trim_start_matches("http://")).await.unwrap()
}

/// Waits until the other side closes. Returns what it sent before.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    // An abrupt end is an end, too.
    let _ = timeout(LIMIT, stream.read_to_end(&mut seen)).await.unwrap();
    String::from_utf8_lossy(&seen).into_owned()
}

#[tokio::test]
async fn a_client_that_is_silent_is_disconnected_before_and_after_a_request() {
    let a = service("a", axum::http::StatusCode::OK).await;
    let front = Front::new(LocalAlb::new(settings()), &[("i-0a000001", a.port)]).await.healthy().await;
    for sent in ["", "GET / HTTP/1.1\r\nhost: a\r\n\r\n"] {
        let mut stream = client(&front).await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let since = Instant::now();
        let seen = until_closed(&mut stream).await;
        assert!(since.elapsed() >= IDLE - EARLY, "{:?} after {sent:?}", since.elapsed());
        assert_eq!(seen.contains("200 OK"), !sent.is_empty(), "{seen}");
    }
}

#[tokio::test]
async fn a_client_that_is_slow_with_the_head_of_its_request_is_disconnected() {
    let a = service("a", axum::http::StatusCode::OK).await;
    let front = Front::new(LocalAlb::new(settings()), &[("i-0a000001", a.port)]).await.healthy().await;
    let mut stream = client(&front).await;
    let (mut read, mut write) = stream.split();
    let slow = async {
        while write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(IDLE / 6).await;
        }
    };
    let mut seen = Vec::new();
    let closed = async {
        tokio::select! {
            () = slow => (),
            _ = read.read_to_end(&mut seen) => (),
        }
    };
    timeout(LIMIT, closed).await.unwrap();
    assert!(seen.is_empty(), "{}", String::from_utf8_lossy(&seen));
}

/// A target that answers one request and keeps its connection. Gives the connection.
async fn target() -> (u16, tokio::task::JoinHandle<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answered = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na").await.unwrap();
        stream
    });
    (port, answered)
}

/// A front with such a target, whose health checks open no connections.
async fn front_of(port: u16, settings: Settings) -> Front {
    let probes = Probes::Scripted(Arc::new(|_, _| Probe::Status(200)));
    Front::new(LocalAlb::new(Settings { probes, ..settings }), &[("i-0a000001", port)]).await.healthy().await
}

#[tokio::test]
async fn an_idle_connection_to_a_target_is_closed_after_the_idle_time_out_also_while_it_drains() {
    for drains in [false, true] {
        let (port, answered) = target().await;
        let front = front_of(port, settings()).await;
        assert_eq!(front.get("/").await, (200, "a".to_owned()));
        let (mut stream, since) = (answered.await.unwrap(), Instant::now());
        if drains {
            front.alb.deregister(&front.arn, "i-0a000001", port);
        }
        until_closed(&mut stream).await;
        assert!(since.elapsed() >= IDLE - EARLY, "{:?}", since.elapsed());
        // Not twice as long.
        assert!(since.elapsed() < IDLE * 19 / 10, "{:?}", since.elapsed());
    }
}

#[tokio::test]
async fn idle_connections_to_a_draining_target_are_closed_at_once_if_it_is_set_so() {
    let (port, answered) = target().await;
    let long = Duration::from_secs(3600);
    let settings = Settings { keep_draining_connections: false, idle_timeout: long, ..settings() };
    let front = front_of(port, settings).await;
    assert_eq!(front.get("/").await.0, 200);
    let mut stream = answered.await.unwrap();
    let since = Instant::now();
    front.alb.deregister(&front.arn, "i-0a000001", port);
    until_closed(&mut stream).await;
    assert!(since.elapsed() >= LAG - EARLY, "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_at_the_end_of_the_delay() {
    // More than all buffers on the way hold.
    let large = async || Body::from(vec![b'x'; 64 * 1024 * 1024]);
    let port = serve(Router::new().route("/", get(large)).route("/healthz", get(async || "ok"))).await;
    let settings = Settings { propagation_lag: LAG, ..Settings::default() };
    let front = Front::new(LocalAlb::new(settings), &[("i-0a000001", port)]).await.healthy().await;
    let mut stream = client(&front).await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    // The response has begun; from now on nothing is taken.
    stream.read_u8().await.unwrap();
    assert_eq!(front.in_flight(), 1);
    let since = Instant::now();
    front.alb.deregister(&front.arn, "i-0a000001", port);
    until("the request was cut", async || front.in_flight() == 0).await;
    assert!(since.elapsed() >= Duration::from_secs(1) - EARLY, "{:?}", since.elapsed());
    assert!(until_closed(&mut stream).await.len() < 64 * 1024 * 1024);
}
