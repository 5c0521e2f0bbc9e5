//! Answers of the instance metadata service: who we are, or an error, in time.

use crate::canned::now;
use crate::server::{Reply, Server};
use node_agent::aws::instance_metadata::{Identity, IdentityError, identify_by, metadata};
use node_agent::settings::Settings;
use proptest::prelude::*;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

const TOKEN: &str = "HTTP/1.1 200 OK\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\ncontent-length: 5\r\nconnection: \
                     close\r\n\r\ntoken";

/// A service that hands out tokens as it should, and answers this to every question.
async fn answering(reply: Reply) -> Server {
    Server::by(move |line| if line.starts_with("PUT ") { Reply::Raw(TOKEN.into()) } else { reply.clone() })
        .await
}

async fn asked(server: &Server) -> Result<Identity, IdentityError> {
    identify_by(metadata().endpoint(&server.url).unwrap(), &Settings::default()).await
}

#[tokio::test]
async fn a_good_answer_is_who_we_are() {
    let server = Server::by(|line| match line {
        line if line.starts_with("PUT ") => Reply::Raw(TOKEN.into()),
        line if line.contains("instance-id") => Reply::text("200 OK", "i-0123456789abcdef0\n"),
        line if line.contains("local-ipv4") => Reply::text("200 OK", "10.0.0.7"),
        _ => Reply::text("404 Not Found", ""),
    })
    .await;
    let identity = asked(&server).await.unwrap();
    assert_eq!(identity.instance_id, "i-0123456789abcdef0");
    assert_eq!(
        (identity.addresses, identity.auto_scaling),
        (vec!["10.0.0.7".parse::<IpAddr>().unwrap()], None)
    );
}

#[tokio::test]
async fn the_page_of_a_proxy_is_no_instance_id() {
    let server = answering(Reply::text("200 OK", "<html>Please log in</html>")).await;
    let error = asked(&server).await.unwrap_err().to_string();
    assert!(error.contains("its answer is not a valid instance-id"), "{error}");
    assert!(error.contains("check that IMDS is enabled"), "{error}");
}

#[tokio::test]
async fn an_empty_answer_is_no_instance_id_and_no_address() {
    let empty = Reply::text("200 OK", "");
    assert!(asked(&answering(empty).await).await.is_err());
    let server = Server::by(|line| match line {
        line if line.starts_with("PUT ") => Reply::Raw(TOKEN.into()),
        line if line.contains("instance-id") => Reply::text("200 OK", "i-0123456789abcdef0"),
        _ => Reply::text("200 OK", ""),
    })
    .await;
    let error = asked(&server).await.unwrap_err().to_string();
    assert!(error.contains("not a valid local-ipv4"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_endless_length_is_not_read_to_its_end() {
    let server = answering(Reply::Endless("i-")).await;
    assert!(asked(&server).await.is_err());
    let mib = server.sent() / 1024 / 1024;
    assert!(mib < 20, "{mib} MiB were taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_silent_answers_are_given_up_in_time() {
    for reply in [Reply::Slow, Reply::Silent] {
        let began = Instant::now();
        assert!(asked(&answering(reply).await).await.is_err());
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_late_once_is_asked_for_again() {
    let asked = AtomicUsize::new(0);
    let server = Server::by(move |line| match line {
        line if line.starts_with("PUT ") && asked.fetch_add(1, Ordering::Relaxed) == 0 => Reply::Silent,
        line if line.starts_with("PUT ") => Reply::Raw(TOKEN.into()),
        line if line.contains("instance-id") => Reply::text("200 OK", "i-0123456789abcdef0"),
        _ => Reply::text("404 Not Found", ""),
    })
    .await;
    assert_eq!(self::asked(&server).await.unwrap().instance_id, "i-0123456789abcdef0");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_answer_is_an_identity_or_an_error(body in any::<String>(), garbage in any::<bool>()) {
        let reply = if garbage { Reply::Raw(body.clone().into()) } else { Reply::text("200 OK", &body) };
        let answer = now(async {
            let settings = Settings { instance_id: Some("i-0123456789abcdef0".into()), ..Settings::default() };
            let server = answering(reply).await;
            let known = identify_by(metadata().endpoint(&server.url).unwrap(), &settings).await.unwrap();
            assert_eq!(known.instance_id, "i-0123456789abcdef0");
            asked(&server).await
        });
        prop_assert!(answer.is_err(), "{:?} from {:?}", answer, body);
    }
}
