//! What the tests have in common: a load balancer on sockets, services to put behind it, SDK clients.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod front;

use std::{net::IpAddr, time::Duration};

use aws_sdk_elasticloadbalancingv2::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    error::{ProvideErrorMetadata, SdkError},
    types::{TargetDescription, TargetHealth},
};
use local_alb::{HealthCheck, Instance, LocalAlb, Served, Settings, TargetGroupSettings};
use tokio::net::TcpListener;

pub(crate) const DELAY: &str = "deregistration_delay.timeout_seconds";
pub(crate) const LAG: Duration = Duration::from_millis(100);

/// A load balancer with a short lag, and checks that are quick as well.
pub(crate) fn alb() -> LocalAlb {
    LocalAlb::new(Settings { propagation_lag: LAG, keep_calls: true, ..Settings::default() })
}

pub(crate) fn group(name: &str, targets: &[(&str, u16)]) -> TargetGroupSettings {
    TargetGroupSettings {
        name: name.to_owned(),
        health_check: HealthCheck {
            interval: Duration::from_millis(50),
            timeout: Duration::from_millis(500),
            ..HealthCheck::default()
        },
        attributes: [(DELAY.to_owned(), "1".to_owned())].into(),
        targets: targets.iter().map(|&(id, port)| (id.to_owned(), port)).collect(),
        ..TargetGroupSettings::default()
    }
}

pub(crate) fn instance(id: &str) -> Instance {
    Instance { id: id.to_owned(), address: IpAddr::from([127, 0, 0, 1]), zone: "us-east-1a".to_owned() }
}

/// Serves on a free port of loopback; gives the port.
pub(crate) async fn serve(router: impl Into<Served> + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async { local_alb::serve(listener, router, std::future::pending()).await.unwrap() });
    port
}

/// A client that asks once only.
pub(crate) fn client(endpoint: &str) -> Client {
    Client::from_conf(config(endpoint).build())
}

pub(crate) fn config(endpoint: &str) -> aws_sdk_elasticloadbalancingv2::config::Builder {
    Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::for_tests())
        .retry_config(RetryConfig::disabled())
        .endpoint_url(endpoint)
}

pub(crate) async fn api(alb: &LocalAlb) -> Client {
    client(&format!("http://127.0.0.1:{}", serve(alb.aws().elastic_load_balancing()).await))
}

pub(crate) fn target(id: &str, port: impl Into<Option<i32>>) -> TargetDescription {
    TargetDescription::builder().id(id).set_port(port.into()).build()
}

/// The error code of a call that must fail.
pub(crate) fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    answer: Result<T, SdkError<E>>,
) -> String {
    let error = answer.unwrap_err();
    error.code().unwrap_or_else(|| panic!("no error code: {error:?}")).to_owned()
}

pub(crate) async fn health(
    client: &Client,
    arn: &str,
    targets: &[TargetDescription],
) -> Vec<(String, i32, String, String)> {
    let request = client.describe_target_health().target_group_arn(arn);
    let answer = request.set_targets((!targets.is_empty()).then(|| targets.to_vec())).send().await.unwrap();
    let words = |health: &TargetHealth| {
        let reason = health.reason().map_or("", |reason| reason.as_str()).to_owned();
        (health.state().unwrap().as_str().to_owned(), reason)
    };
    let shown = answer.target_health_descriptions().iter().map(|description| {
        let (state, reason) = words(description.target_health().unwrap());
        let target = description.target().unwrap();
        (target.id().unwrap().to_owned(), target.port().unwrap(), state, reason)
    });
    shown.collect()
}

/// Waits until `condition` holds; a hang is a failure.
pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub(crate) async fn until_state(alb: &LocalAlb, arn: &str, id: &str, state: &str) {
    until(&format!("{id} {state}"), async || {
        alb.targets(arn).iter().any(|target| target.id == id && target.state.to_string() == state)
    })
    .await;
}
