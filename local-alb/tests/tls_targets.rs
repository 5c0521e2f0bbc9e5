//! Target groups with the protocol HTTPS.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::sync::Arc;

use axum::{Router, routing::get};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use local_alb::{HealthCheck, Probe, TargetGroupSettings, TargetHealth};
use rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer};
use support::{alb, front::Front, group, instance, until};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const ID: &str = "i-0a000001";

fn https(port: u16) -> TargetGroupSettings {
    let group = group("demo", &[(ID, port)]);
    let health_check = HealthCheck { protocol: "HTTPS".to_owned(), ..group.health_check };
    TargetGroupSettings { protocol: "HTTPS".to_owned(), health_check, ..group }
}

/// A service behind a certificate that nobody trusts, and that is for another name.
async fn service_with_tls() -> u16 {
    let made = rcgen::generate_simple_self_signed(["elsewhere.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let router = Router::new().route("/", get(async || "secret")).route("/healthz", get(async || "ok"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(router.clone()));
            tokio::spawn(async move {
                // Plain HTTP fails here, and the connection is closed.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let http = hyper::server::conn::http1::Builder::new();
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    port
}

async fn front(settings: TargetGroupSettings) -> Front {
    let alb = alb();
    alb.add_instance(instance(ID));
    Front::with(alb, settings).await
}

#[tokio::test]
async fn checks_and_requests_of_an_https_group_speak_tls_with_any_certificate() {
    let front = front(https(service_with_tls().await)).await.healthy().await;
    assert_eq!(front.get("/").await, (200, "secret".to_owned()));
    // On the same connection.
    assert_eq!(front.get("/").await, (200, "secret".to_owned()));
}

#[tokio::test]
async fn a_target_with_plain_http_is_unhealthy_in_an_https_group() {
    let plain = support::front::service("a", axum::http::StatusCode::OK).await;
    let front = front(https(plain.port)).await;
    let state = async || front.alb.targets(&front.arn)[0].state;
    until("failed checks", async || state().await == TargetHealth::Unhealthy(Probe::Failed)).await;
    // The load balancer fails open, and the handshake fails.
    assert_eq!(front.get("/").await.0, 502);
}

#[tokio::test]
async fn the_protocol_of_the_checks_is_apart_from_that_of_the_requests() {
    let port = service_with_tls().await;
    let checks_only = TargetGroupSettings { protocol: "HTTP".to_owned(), ..https(port) };
    let plain = front(checks_only).await.healthy().await;
    assert_eq!(plain.get("/").await.0, 502);
}

#[tokio::test]
async fn a_target_with_tls_is_unhealthy_in_an_http_group() {
    let front = front(group("demo", &[(ID, service_with_tls().await)])).await;
    let state = async || front.alb.targets(&front.arn)[0].state;
    until("failed checks", async || matches!(state().await, TargetHealth::Unhealthy(_))).await;
}
