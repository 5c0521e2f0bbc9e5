//! Answers of the node's own service: a status, a count, or an error.

use crate::canned::now;
use crate::server::{Reply, Server};
use node_agent::machine::local_service::HttpService;
use node_agent::machine::ports::{Probe, Service, ServiceError};
use proptest::prelude::*;
use std::time::Duration;
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(2);

fn check(url: &str) -> Probe {
    Probe { url: url.to_owned(), host: None, timeout: LIMIT }
}

async fn in_flight(reply: Reply) -> Result<u64, ServiceError> {
    let server = Server::start(reply).await;
    HttpService::new().unwrap().in_flight(&server.url).await
}

async fn probe(reply: Reply) -> Result<u16, ServiceError> {
    let server = Server::start(reply).await;
    HttpService::new().unwrap().probe(&check(&server.url)).await
}

#[tokio::test]
async fn a_count_is_a_whole_number_and_nothing_else() {
    assert_eq!(in_flight(Reply::text("200 OK", " 17\n")).await.unwrap(), 17);
    let long = format!("0{}", " ".repeat(100));
    for body in ["", "-1", "0.5", "none", "18446744073709551616", "0 0", &long] {
        assert!(in_flight(Reply::text("200 OK", body)).await.is_err(), "{body:?}");
    }
}

#[tokio::test]
async fn neither_an_error_nor_a_redirect_counts_as_idle() {
    for status in
        ["302 Found\r\nlocation: /", "404 Not Found", "500 Internal Server Error", "304 Not Modified"]
    {
        assert!(in_flight(Reply::text(status, "0")).await.is_err(), "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_a_status_as_any_other() {
    let server = Server::by(|line| match line {
        line if line.starts_with("GET / ") => Reply::text("302 Found\r\nlocation: /healthy", ""),
        _ => Reply::text("200 OK", ""),
    })
    .await;
    assert_eq!(HttpService::new().unwrap().probe(&check(&server.url)).await.unwrap(), 302);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_endless_length_is_not_read_to_its_end() {
    for beginning in ["", "0\n"] {
        let server = Server::start(Reply::Endless(beginning)).await;
        let service = HttpService::new().unwrap();
        assert!(service.in_flight(&server.url).await.is_err());
        assert_eq!(service.probe(&check(&server.url)).await.unwrap(), 200);
        let mib = server.sent() / 1024 / 1024;
        assert!(mib < 20, "{mib} MiB were taken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_silent_answers_are_given_up_in_time() {
    for reply in [Reply::Slow, Reply::Silent] {
        let began = Instant::now();
        assert!(in_flight(reply).await.is_err());
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    }
    assert!(probe(Reply::Silent).await.is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_answer_is_a_number_or_an_error(body in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let number = body.trim().parse::<u64>().ok();
        prop_assert_eq!(now(in_flight(Reply::text("200 OK", &body))).ok(), number);
        let _ = (now(in_flight(Reply::Raw(bytes.clone()))), now(probe(Reply::Raw(bytes))));
    }
}
