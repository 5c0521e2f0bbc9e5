//! A service to put behind the load balancer, and a client in front of it.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::Path,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use local_alb::{LocalAlb, TargetGroupSettings};
use tokio::sync::Notify;

use super::{group, instance, serve, until};

/// A service that says its name, and holds requests to /held until told otherwise.
pub(crate) struct Service {
    pub(crate) port: u16,
    pub(crate) release: Arc<Notify>,
}

pub(crate) async fn service(name: &'static str, healthz: StatusCode) -> Service {
    let release = Arc::new(Notify::new());
    let gate = Arc::clone(&release);
    let held = async move || {
        gate.notified().await;
        name
    };
    let headers = async |headers: HeaderMap| {
        headers
            .iter()
            .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()))
            .collect::<String>()
    };
    let router = Router::new()
        .route("/", get(async move || name))
        .route("/held", get(held))
        .route("/headers", get(headers))
        .route("/echo", post(async |body: Bytes| body))
        .route("/status/{code}", get(async |Path(code): Path<u16>| StatusCode::from_u16(code).unwrap()))
        .route("/healthz", get(async move || healthz));
    Service { port: serve(router).await, release }
}

/// A listener of a load balancer, and a client in front of it.
pub(crate) struct Front {
    pub(crate) alb: LocalAlb,
    pub(crate) arn: String,
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
}

impl Front {
    pub(crate) async fn new(alb: LocalAlb, targets: &[(&str, u16)]) -> Self {
        for (id, _) in targets {
            alb.add_instance(instance(id));
        }
        Self::with(alb, group("demo", targets)).await
    }

    pub(crate) async fn with(alb: LocalAlb, settings: TargetGroupSettings) -> Self {
        let arn = alb.create_target_group(settings).unwrap();
        let url = format!("http://127.0.0.1:{}", serve(alb.aws().listener(&arn)).await);
        Self { alb, arn, url, http: reqwest::Client::new() }
    }

    pub(crate) async fn healthy(self) -> Self {
        until("all in service", async || self.alb.instances_out(&self.arn) == 0).await;
        self
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub(crate) fn in_background(&self, path: &str) -> tokio::task::JoinHandle<u16> {
        let request = self.http.get(format!("{}{path}", self.url));
        tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.alb.targets(&self.arn).iter().map(|target| target.in_flight).sum()
    }
}
