//! The node's own check over sockets: it is the load balancer's, and a node that cannot pass it is not taken out.

use crate::estate::{Estate, NODE, estate, quick_group, until};
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Short, so that a check that fails ends soon.
const QUICK: &str = "health_limit = \"500ms\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_answers_health_checks_alone_can_be_taken_out() {
    // As many front ends: any other client, or another host, is sent elsewhere.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let strict = move |headers: HeaderMap| async move {
        let is = |name: &str, value: &str| headers.get(name).is_some_and(|header| header == value);
        match is("user-agent", "ELB-HealthChecker/2.0") && is("host", &address.to_string()) {
            true => StatusCode::OK,
            false => StatusCode::MISDIRECTED_REQUEST,
        }
    };
    let app = Router::new().route("/healthz", get(strict));
    tokio::spawn(async move { local_alb::serve(listener, app, std::future::pending()).await });
    let estate = with_target(address.port()).await;
    estate.agent(&["check", "--start"]).await.says(0, &["yes"]);
    estate.agent(&["maintain", "--", "true"]).await.says(0, &["succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_cannot_be_made_keeps_the_node_in_service_and_names_the_url() {
    // A server of old: it refuses every version of TLS that this program speaks (alert 70, protocol_version).
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let old = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read_buf(&mut Vec::new()).await;
            let _ = stream.write_all(&[21, 3, 1, 0, 2, 2, 70]).await;
        }
    });
    let estate = estate().await.configured(QUICK);
    let url = format!("https://ops:secret@127.0.0.1:{old}/healthz");
    let shown = format!("https://127.0.0.1:{old}/healthz did not answer");
    let parts =
        [&*shown, "reports no fault of this node", "service_address", "health_url", "ProtocolVersion"];
    let no = estate.agent(&["--health-url", &url, "check", "--start"]).await;
    no.says(1, &parts);
    let refused = estate.agent(&["--health-url", &url, "maintain", "--", "true"]).await;
    refused.says(2, &parts);
    assert!(!format!("{no:?}{refused:?}").contains("secret"));
    estate.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_listen_where_it_is_checked_is_not_taken_out() {
    let estate = estate().await.configured(&format!("{QUICK}\nservice_address = \"127.0.0.9\""));
    let url = format!("http://127.0.0.9:{}/healthz did not answer", estate.port);
    estate.agent(&["check", "--start"]).await.says(1, &[&url, "service_address"]);
    estate.agent(&["maintain", "--", "true"]).await.says(2, &[&url, "service_address", "nothing changed"]);
    estate.is_untouched();
}

/// An estate whose node has one healthy target, at this port.
async fn with_target(port: u16) -> Estate {
    let estate = estate().await;
    let others = estate.alb.targets(&estate.arn).into_iter().filter(|target| target.id != NODE);
    let mut targets: Vec<_> = others.map(|target| (target.id, target.port)).collect();
    targets.push((NODE.to_owned(), port));
    let arn = estate.alb.create_target_group(quick_group("strict", targets)).unwrap();
    until(|| estate.alb.instances_out(&arn) == 0).await;
    estate.configured_instead("[\"web\"]", "[\"strict\"]")
}
