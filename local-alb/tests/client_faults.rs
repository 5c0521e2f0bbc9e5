//! What the client does wrong is its own fault: 400, 405, 408 and 463, and not 502 or 504.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use axum::http::StatusCode;
use local_alb::{LocalAlb, Settings};
use std::time::Duration;
use support::LAG;
use support::front::{Front, service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(10);

async fn front(idle_timeout: Duration) -> Front {
    let a = service("a", StatusCode::OK).await;
    let alb = LocalAlb::new(Settings { propagation_lag: LAG, idle_timeout, ..Settings::default() });
    Front::new(alb, &[("i-0a000001", a.port)]).await.healthy().await
}

/// Sends these bytes, and returns the first line of the answer.
async fn answer_to(front: &Front, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(front.url.trim_start_matches("http://")).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut seen = Vec::new();
    while !seen.contains(&b'\n') {
        let read = timeout(LIMIT, stream.read_buf(&mut seen)).await.unwrap().unwrap();
        if read == 0 {
            break;
        }
    }
    String::from_utf8_lossy(&seen).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_400() {
    let front = front(Duration::from_secs(60)).await;
    let broken = b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    assert_eq!(answer_to(&front, broken).await, "HTTP/1.1 400 Bad Request");
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_of_its_body_is_408_and_a_target_that_is_silent_504() {
    let front = front(Duration::from_millis(300)).await;
    let half = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf";
    assert_eq!(answer_to(&front, half).await, "HTTP/1.1 408 Request Timeout");
    let held = b"GET /held HTTP/1.1\r\nhost: a\r\n\r\n";
    assert_eq!(answer_to(&front, held).await, "HTTP/1.1 504 Gateway Timeout");
}

#[tokio::test]
async fn trace_and_a_long_list_of_addresses_are_refused() {
    let front = front(Duration::from_secs(60)).await;
    let trace = b"TRACE / HTTP/1.1\r\nhost: a\r\n\r\n";
    assert_eq!(answer_to(&front, trace).await, "HTTP/1.1 405 Method Not Allowed");
    let request = |addresses: usize| {
        let list = vec!["10.0.0.1"; addresses].join(", ");
        format!("GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: {list}\r\n\r\n").into_bytes()
    };
    assert_eq!(answer_to(&front, &request(30)).await, "HTTP/1.1 200 OK");
    assert!(answer_to(&front, &request(31)).await.starts_with("HTTP/1.1 463"));
}

#[tokio::test]
async fn long_request_lines_and_headers_are_400_and_many_headers_pass() {
    let front = front(Duration::from_secs(60)).await;
    let request = |line: usize, headers: usize, length: usize| {
        let headers: String =
            (0..headers).map(|n| format!("x-{n:03}: {}\r\n", "v".repeat(length - 9))).collect();
        format!("GET /?{} HTTP/1.1\r\nhost: a\r\n{headers}\r\n", "q".repeat(line)).into_bytes()
    };
    let k = 1024;
    // 64 headers of 900 bytes, one of 16 K, a line of nearly 16 K.
    for passes in
        [request(1, 64, 900), request(1, 1, 16 * k), request(16 * k - 30, 0, 10), request(1, 300, 100)]
    {
        assert_eq!(answer_to(&front, &passes).await, "HTTP/1.1 200 OK");
    }
    for long in [request(16 * k, 0, 10), request(1, 1, 16 * k + 1), request(1, 5, 15 * k)] {
        assert_eq!(answer_to(&front, &long).await, "HTTP/1.1 400 Bad Request");
    }
}

#[tokio::test]
async fn many_headers_of_a_response_pass_and_more_than_32_k_are_502() {
    use axum::{Router, http::HeaderMap, routing::get};
    let headers = async |axum::extract::Path(count): axum::extract::Path<usize>| {
        let header = |n: usize| (format!("x-{n:03}").parse().unwrap(), "v".repeat(100).parse().unwrap());
        (0..count).map(header).collect::<HeaderMap>()
    };
    let router = Router::new().route("/{count}", get(headers)).route("/healthz", get(async || "ok"));
    let alb = LocalAlb::new(Settings { propagation_lag: support::LAG, ..Settings::default() });
    let front = Front::new(alb, &[("i-0a000001", support::serve(router).await)]).await.healthy().await;
    // Not with the usual client, which takes 100 headers.
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes();
    assert_eq!(answer_to(&front, &get("/250")).await, "HTTP/1.1 200 OK");
    assert_eq!(answer_to(&front, &get("/350")).await, "HTTP/1.1 502 Bad Gateway");
}

#[tokio::test]
async fn http_2_with_prior_knowledge_is_not_spoken() {
    let front = front(Duration::from_secs(60)).await;
    let mut stream = TcpStream::connect(front.url.trim_start_matches("http://")).await.unwrap();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&settings).await.unwrap();
    let mut seen = Vec::new();
    // An abrupt end is an end, too.
    let _ = timeout(LIMIT, tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut seen)).await.unwrap();
    assert!(!seen.starts_with(&[0, 0]), "a frame of settings: {seen:?}");
}
