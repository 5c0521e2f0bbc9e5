//! WebSockets through the load balancer: the upgrade, bytes in both directions, and what ends them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, Response, StatusCode},
    routing::get,
};
use hyper_util::rt::TokioIo;
use local_alb::{LocalAlb, Settings};
use support::{LAG, front::Front, serve, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, split},
    net::TcpStream,
    time::timeout,
};

const LIMIT: Duration = Duration::from_secs(20);

/// Agrees to a WebSocket, and sends every byte back. It does not look at frames, and neither does the load balancer.
async fn echo(request: Request<Body>) -> Response<Body> {
    agree(request, |stream| async move {
        let (mut read, mut write) = split(stream);
        // Ends with an error if the load balancer cuts the connection.
        let _ = copy(&mut read, &mut write).await;
    })
}

/// Agrees to a WebSocket, and sends without end.
async fn push(request: Request<Body>) -> Response<Body> {
    agree(request, |mut stream| async move { while stream.write_all(&[b'x'; 65_536]).await.is_ok() {} })
}

type Stream = TokioIo<hyper::upgrade::Upgraded>;

fn agree<F>(mut request: Request<Body>, then: impl FnOnce(Stream) -> F + Send + 'static) -> Response<Body>
where
    F: Future<Output = ()> + Send,
{
    let asked = request.headers().get("upgrade").is_some_and(|protocol| protocol == "websocket");
    if !asked || request.headers()["connection"] != "upgrade" {
        return Response::builder().status(StatusCode::UPGRADE_REQUIRED).body(Body::empty()).unwrap();
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move { then(TokioIo::new(upgrade.await.unwrap())).await });
    let agreed = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    let agreed = agreed.header("connection", "upgrade").header("upgrade", "websocket");
    agreed.header("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=").body(Body::empty()).unwrap()
}

async fn front(settings: Settings) -> Front {
    let upgrades = async |headers: HeaderMap| headers.contains_key("upgrade").to_string();
    let router = Router::new()
        .route("/chat", get(echo))
        .route("/pushed", get(push))
        .route("/upgrades", get(upgrades))
        .route("/healthz", get(async || "ok"));
    let port = serve(router).await;
    Front::new(LocalAlb::new(Settings { propagation_lag: LAG, ..settings }), &[("i-0a000001", port)])
        .await
        .healthy()
        .await
}

/// Sends a request for this protocol. Returns the head of the response.
async fn ask(front: &Front, path: &str, protocol: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(front.url.trim_start_matches("http://")).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\nupgrade: {protocol}\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(LIMIT, stream.read_u8()).await.unwrap().unwrap());
    }
    (stream, String::from_utf8(head).unwrap())
}

async fn chat(front: &Front) -> TcpStream {
    let (stream, head) = ask(front, "/chat", "websocket").await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(head.contains("upgrade: websocket\r\n") && head.contains("connection: upgrade\r\n"), "{head}");
    assert!(head.contains("sec-websocket-accept"), "{head}");
    stream
}

async fn says(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut back = vec![0; text.len()];
    timeout(LIMIT, stream.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(back, text.as_bytes());
}

async fn is_closed(stream: &mut TcpStream) {
    let read = timeout(LIMIT, stream.read(&mut [0])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

#[tokio::test]
async fn bytes_pass_in_both_directions_and_the_request_is_in_flight_until_the_end() {
    let front = front(Settings::default()).await;
    let mut client = chat(&front).await;
    says(&mut client, "one").await;
    assert_eq!(front.in_flight(), 1);
    says(&mut client, "two").await;
    drop(client);
    until("nothing in flight", async || front.in_flight() == 0).await;
}

#[tokio::test]
async fn it_stays_open_while_the_target_drains_and_is_cut_at_the_end_of_the_delay() {
    let front = front(Settings::default()).await;
    let mut client = chat(&front).await;
    let target = front.alb.targets(&front.arn)[0].port;
    let since = tokio::time::Instant::now();
    front.alb.deregister(&front.arn, "i-0a000001", target);
    says(&mut client, "still here").await;
    is_closed(&mut client).await;
    assert!(since.elapsed() >= Duration::from_secs(1), "{:?}", since.elapsed());
}

#[tokio::test]
async fn it_is_closed_once_both_sides_were_silent_for_the_idle_time_out() {
    let idle_timeout = Duration::from_millis(400);
    let front = front(Settings { idle_timeout, ..Settings::default() }).await;
    let mut client = chat(&front).await;
    for _ in 0..4 {
        tokio::time::sleep(idle_timeout / 2).await;
        says(&mut client, "not silent").await;
    }
    let since = tokio::time::Instant::now();
    is_closed(&mut client).await;
    assert!(since.elapsed() >= idle_timeout - Duration::from_millis(50), "{:?}", since.elapsed());
}

#[tokio::test]
async fn it_is_closed_after_the_idle_time_out_although_the_client_takes_nothing_that_is_sent() {
    let idle_timeout = Duration::from_millis(400);
    let front = front(Settings { idle_timeout, ..Settings::default() }).await;
    let (client, head) = ask(&front, "/pushed", "websocket").await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert_eq!(front.in_flight(), 1);
    until("closed", async || front.in_flight() == 0).await;
    drop(client);
}

#[tokio::test]
async fn other_protocols_are_not_asked_for() {
    let front = front(Settings::default()).await;
    let (mut stream, head) = ask(&front, "/upgrades", "h2c").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut said = [0; 5];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"false");
}
