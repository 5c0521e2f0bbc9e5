//! Requests through the load balancer, over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use axum::http::StatusCode;
use local_alb::{Instance, LocalAlb, Probe, Settings, TargetHealth};
use support::{
    alb,
    front::{Front, service},
    group, instance, until, until_state,
};
use tokio::net::TcpListener;

#[tokio::test]
async fn requests_go_round_robin_and_carry_where_they_came_from() {
    let (a, b) = (service("a", StatusCode::OK).await, service("b", StatusCode::OK).await);
    let front = Front::new(alb(), &[("i-0a000001", a.port), ("i-0a000002", b.port)]).await.healthy().await;
    let mut answers = BTreeMap::new();
    for _ in 0..10 {
        *answers.entry(front.get("/").await).or_insert(0) += 1;
    }
    assert_eq!(answers, [((200, "a".to_owned()), 5), ((200, "b".to_owned()), 5)].into());
    let request = front.http.get(format!("{}/headers", front.url)).header("x-forwarded-for", "10.0.0.9");
    let headers = request.send().await.unwrap().text().await.unwrap();
    assert!(headers.contains("x-forwarded-for: 10.0.0.9, 127.0.0.1\n"), "{headers}");
    assert!(headers.contains("x-forwarded-proto: http\n"), "{headers}");
    let port = front.url.rsplit(':').next().unwrap();
    assert!(headers.contains(&format!("x-forwarded-port: {port}\n")), "{headers}");
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
    let front = Front::new(slow, &[("i-0a000001", a.port), ("i-0a000002", b.port)]).await.healthy().await;
    let held = [front.in_background("/held"), front.in_background("/held")];
    until("two in flight", async || front.in_flight() == 2).await;
    let since = tokio::time::Instant::now();
    front.alb.deregister(&front.arn, "i-0a000001", a.port);
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
    let front = Front::new(alb(), &[("i-0a000001", a.port)]).await.healthy().await;
    let held = front.in_background("/held");
    until("one in flight", async || front.in_flight() == 1).await;
    front.alb.deregister(&front.arn, "i-0a000001", a.port);
    assert_eq!(held.await.unwrap(), 502);
    until_state(&front.alb, &front.arn, "i-0a000001", "unused").await;
    let (status, why) = front.get("/").await;
    assert_eq!(status, 503, "{why}");
    assert_eq!(front.in_flight(), 0);
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let error = local_alb::serve(listener, alb().aws().elastic_load_balancing(), std::future::pending())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("0.0.0.0") && error.to_string().contains("loopback"), "{error}");
}

#[tokio::test]
async fn headers_that_connection_names_stay_on_that_connection() {
    let a = service("a", StatusCode::OK).await;
    let front = Front::new(alb(), &[("i-0a000001", a.port)]).await.healthy().await;
    let request = front.http.get(format!("{}/headers", front.url)).header("connection", "keep-alive, X-Hop");
    let request = request.header("x-hop", "1").header("x-end", "2");
    let headers = request.send().await.unwrap().text().await.unwrap();
    assert!(headers.contains("x-end: 2\n") && !headers.contains("x-hop"), "{headers}");
}

#[tokio::test]
async fn no_socket_is_opened_to_an_address_outside_loopback() {
    let a = service("a", StatusCode::OK).await;
    let alb = alb();
    // The system takes this one for the machine itself, so the service would answer.
    let everywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    alb.add_instance(Instance { address: everywhere, ..instance("i-0a000001") });
    let by_id = Front::with(alb.clone(), group("by-id", &[("i-0a000001", a.port)])).await;
    let mut by_address = group("by-address", &[("0.0.0.0", a.port)]);
    by_address.target_type = "ip".to_owned();
    for front in [by_id, Front::with(alb, by_address).await] {
        let state = async || front.alb.targets(&front.arn)[0].state;
        until("failed checks", async || state().await == TargetHealth::Unhealthy(Probe::Failed)).await;
        let (status, why) = front.get("/").await;
        assert_eq!(status, 503);
        assert!(why.contains("loopback"), "{why}");
    }
}

#[tokio::test]
async fn the_most_that_are_out_at_a_time_are_counted_at_each_change() {
    let (a, b) = (service("a", StatusCode::OK).await, service("b", StatusCode::OK).await);
    let front = Front::new(alb(), &[("i-0a000001", a.port), ("i-0a000002", b.port)]).await.healthy().await;
    assert_eq!(front.alb.most_out(&front.arn), 0, "nobody watches");
    front.alb.watch_most_out(&front.arn);
    assert_eq!(front.alb.most_out(&front.arn), 0);
    front.alb.deregister(&front.arn, "i-0a000001", a.port);
    assert_eq!(front.alb.most_out(&front.arn), 1);
    front.alb.deregister(&front.arn, "i-0a000002", b.port);
    // Both are back before anybody could have looked.
    front.alb.register(&front.arn, "i-0a000001", a.port);
    front.alb.register(&front.arn, "i-0a000002", b.port);
    let front = front.healthy().await;
    assert_eq!(front.alb.most_out(&front.arn), 2);
}
