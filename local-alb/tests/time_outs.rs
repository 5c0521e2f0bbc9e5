//! How long the load balancer waits: for a connection, and for whoever is silent.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::get,
};
use hyper::body::Frame;
use local_alb::{HealthCheck, LocalAlb, Probe, Probes, Settings, TargetGroupSettings};
use support::{front::Front, group, instance, serve, until, until_state};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

#[tokio::test]
async fn a_refused_connection_is_502_and_an_unanswered_request_504() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let impatient = Settings {
        propagation_lag: support::LAG,
        idle_timeout: Duration::from_millis(200),
        ..Settings::default()
    };
    let front = Front::new(LocalAlb::new(impatient), &[("i-0a000001", port)]).await;
    until_state(&front.alb, &front.arn, "i-0a000001", "unhealthy").await;
    assert_eq!(front.get("/").await.0, 504);
    drop(silent);
    assert_eq!(front.get("/").await.0, 502);
}

/// A socket that takes no further connection, and what fills its queue.
async fn full_queue() -> (u16, TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(connection) =
        tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
    {
        waiting.push(connection.unwrap());
    }
    (address.port(), listener, waiting)
}

#[tokio::test]
async fn a_connection_that_nobody_accepts_is_504() {
    let (port, _listener, _waiting) = full_queue().await;
    let alb = LocalAlb::new(Settings {
        propagation_lag: support::LAG,
        connect_timeout: Duration::from_millis(100),
        // Checks over HTTP would stand in the same queue.
        probes: Probes::Scripted(Arc::new(|_, _| Probe::Status(200))),
        ..Settings::default()
    });
    let front = Front::new(alb, &[("i-0a000001", port)]).await.healthy().await;
    let (status, why) = front.get("/").await;
    assert_eq!(status, 504);
    assert!(why.contains("accept"), "{why}");
}

#[tokio::test]
async fn a_slow_upload_is_not_silence() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let echo = axum::routing::post(async |body: axum::body::Bytes| body);
    let service = serve(Router::new().route("/", echo).route("/healthz", get(async || "ok"))).await;
    let patience = Duration::from_millis(400);
    let alb = local_alb::LocalAlb::new(local_alb::Settings { idle_timeout: patience, ..Default::default() });
    alb.add_instance(instance("i-0a000001"));
    let arn = alb.create_target_group(group("demo", &[("i-0a000001", service)])).unwrap();
    until("in service", async || alb.instances_out(&arn) == 0).await;
    let mut client =
        tokio::net::TcpStream::connect(("127.0.0.1", serve(alb.aws().listener(&arn)).await)).await.unwrap();
    client
        .write_all(b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 8\r\n\r\n")
        .await
        .unwrap();
    for _ in 0..8 {
        // Slower than the time-out in all, but never silent for as long.
        tokio::time::sleep(patience / 4).await;
        client.write_all(b"x").await.unwrap();
    }
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Sends the head of an answer and `pieces` pieces of its body, each after a `pause`, then nothing more.
async fn pieces(pause: Duration, pieces: usize) -> u16 {
    let answer = async move || {
        tokio::time::sleep(pause).await;
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            for _ in 0..pieces {
                tokio::time::sleep(pause).await;
                // The load balancer may have given up.
                let _ = sender.send(Bytes::from_static(b"x")).await;
            }
            sender.closed().await;
        });
        Body::new(Pieces(receiver))
    };
    serve(Router::new().route("/", get(answer)).route("/healthz", get(async || "ok"))).await
}

struct Pieces(tokio::sync::mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[tokio::test]
async fn an_answer_that_falls_silent_is_broken_off_but_not_a_slow_one() {
    let patience = Duration::from_millis(500);
    let alb = LocalAlb::new(Settings {
        propagation_lag: support::LAG,
        idle_timeout: patience,
        ..Settings::default()
    });
    let port = pieces(patience * 3 / 5, 4).await;
    let front = Front::new(alb, &[("i-0a000001", port)]).await.healthy().await;
    let mut answer = front.http.get(&front.url).send().await.unwrap();
    for _ in 0..4 {
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "x");
    }
    assert!(answer.chunk().await.is_err());
    until("nothing in flight", async || front.in_flight() == 0).await;
}

#[tokio::test]
async fn a_target_that_hangs_is_checked_as_often_as_any_other() {
    let hangs = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = hangs.local_addr().unwrap().port();
    let (interval, patience) = (Duration::from_millis(600), Duration::from_millis(500));
    let settings = group("demo", &[("i-0a000001", port)]);
    let health_check = HealthCheck { interval, timeout: patience, ..settings.health_check };
    let alb = support::alb();
    alb.add_instance(instance("i-0a000001"));
    alb.create_target_group(TargetGroupSettings { health_check, ..settings }).unwrap();
    let (mut checks, mut began) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        checks.push(hangs.accept().await.unwrap());
        began.push(tokio::time::Instant::now());
    }
    // From start to start, and not from the end of the time-out: that would be 1.1 s every time.
    let shortest = began.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
    assert!(shortest < interval + patience / 2, "{shortest:?}");
}

#[tokio::test]
async fn a_target_that_is_registered_again_is_checked_no_more_often_than_before() {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = service.local_addr().unwrap().port();
    let interval = Duration::from_millis(300);
    let settings = group("demo", &[("i-0a000001", port)]);
    let health_check = HealthCheck { interval, timeout: interval / 2, ..settings.health_check };
    let alb = support::alb();
    alb.add_instance(instance("i-0a000001"));
    let arn = alb.create_target_group(TargetGroupSettings { health_check, ..settings }).unwrap();
    for _ in 0..3 {
        drop(service.accept().await.unwrap());
        alb.deregister(&arn, "i-0a000001", port);
        alb.register(&arn, "i-0a000001", port);
    }
    // What was under way when it was registered again may still come.
    tokio::time::sleep(interval).await;
    let (began, mut checks) = (tokio::time::Instant::now(), 0);
    while tokio::time::timeout_at(began + interval * 5, service.accept()).await.is_ok() {
        checks += 1;
    }
    assert!((1..=7).contains(&checks), "{checks} checks in 5 intervals");
}
