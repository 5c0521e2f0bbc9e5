//! The routes, and the count of requests in flight.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Query, Request, State},
    http::{HeaderValue, StatusCode, header::CONNECTION},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use serde::Deserialize;
use tokio::sync::watch;

use crate::Settings;

/// The longest delay that `?delay_ms=` can ask for. A longer one is shortened to this.
pub const MAX_DELAY: Duration = Duration::from_secs(60);

/// The service's routes. [`crate::serve`] listens and drains.
pub fn app(settings: &Settings) -> Router {
    routes(Shared::new(settings))
}

/// State shared by the routes and the shutdown.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    hostname: Option<Arc<str>>,
    pub(crate) in_flight: Arc<watch::Sender<usize>>,
    pub(crate) shutting_down: Arc<watch::Sender<bool>>,
}

impl Shared {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            hostname: settings.hostname.as_deref().map(Arc::from),
            in_flight: Arc::new(watch::Sender::new(0)),
            shutting_down: Arc::new(watch::Sender::new(false)),
        }
    }

    fn is_shutting_down(&self) -> bool {
        *self.shutting_down.borrow()
    }
}

pub(crate) fn routes(shared: Shared) -> Router {
    // `route_layer` and `layer` apply only to routes added before them, so the two monitoring paths are not counted.
    Router::new()
        .fallback(hello)
        .layer(middleware::from_fn_with_state(shared.clone(), counted))
        .route("/healthz", get(healthz))
        .route("/in-flight", get(in_flight))
        .layer(middleware::from_fn_with_state(shared.clone(), closing))
        .with_state(shared)
}

#[derive(Deserialize)]
struct Slowness {
    #[serde(default)]
    delay_ms: u64,
}

async fn hello(State(shared): State<Shared>, Query(slowness): Query<Slowness>) -> String {
    let delay = Duration::from_millis(slowness.delay_ms).min(MAX_DELAY);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match shared.hostname {
        Some(name) => format!("Hello, World! From {name}\n"),
        None => format!("Hello, World! From {}\n", kernel_hostname()),
    }
}

fn kernel_hostname() -> String {
    match hostname::get() {
        Ok(name) => name.to_string_lossy().into_owned(),
        Err(error) => {
            tracing::warn!(%error, "failed to read the host name");
            "an unnamed host".to_owned()
        }
    }
}

async fn healthz(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    if shared.is_shutting_down() {
        (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

async fn in_flight(State(shared): State<Shared>) -> String {
    shared.in_flight.borrow().to_string()
}

/// Counts a request until its response is ready or its client has disconnected.
async fn counted(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let _in_flight = InFlight::begin(shared.in_flight);
    next.run(request).await
}

struct InFlight(Arc<watch::Sender<usize>>);

impl InFlight {
    fn begin(count: Arc<watch::Sender<usize>>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Once shutdown has begun, asks clients to close the connection after this response.
async fn closing(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if shared.is_shutting_down() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn ask(app: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = app.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn named(name: &str) -> Router {
        app(&Settings { hostname: Some(name.into()), ..Settings::default() })
    }

    #[tokio::test]
    async fn every_path_greets_from_the_host() {
        let expected = (StatusCode::OK, "Hello, World! From web-1\n".to_owned());
        for path in ["/", "/a/b?c=d", "/healthz/deeper"] {
            assert_eq!(ask(&named("web-1"), path).await, expected, "{path}");
        }
    }

    #[tokio::test]
    async fn without_a_given_name_the_kernels_is_used() {
        let kernels = hostname::get().unwrap().to_string_lossy().into_owned();
        let (_, greeting) = ask(&app(&Settings::default()), "/").await;
        assert_eq!(greeting, format!("Hello, World! From {kernels}\n"));
    }

    #[tokio::test]
    async fn an_idle_service_is_healthy_and_has_nothing_in_flight() {
        assert_eq!(ask(&named("web-1"), "/healthz").await, (StatusCode::OK, "ok\n".to_owned()));
        assert_eq!(ask(&named("web-1"), "/in-flight").await, (StatusCode::OK, "0".to_owned()));
    }

    #[tokio::test]
    async fn a_request_that_the_client_abandons_is_no_longer_in_flight() {
        let app = named("web-1");
        let slow = tokio::spawn({
            let app = app.clone();
            async move { ask(&app, "/?delay_ms=60000").await }
        });
        let begun = async {
            while ask(&app, "/in-flight").await.1 != "1" {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), begun).await.unwrap();
        slow.abort();
        assert!(slow.await.is_err());
        assert_eq!(ask(&app, "/in-flight").await.1, "0");
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_is_kept_and_capped() {
        let began = tokio::time::Instant::now();
        ask(&named("web-1"), "/?delay_ms=2000").await;
        assert_eq!(began.elapsed().as_secs(), 2);
        ask(&named("web-1"), "/?delay_ms=999999999").await;
        assert_eq!(began.elapsed().as_secs(), 62);
    }

    #[tokio::test]
    async fn a_delay_that_is_no_number_is_refused() {
        assert_eq!(ask(&named("web-1"), "/?delay_ms=soon").await.0, StatusCode::BAD_REQUEST);
    }
}
