//! The data plane: HTTP/1.1 from clients to the targets of one group.

use crate::LocalAlb;
use crate::model::target::Eligible;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{HeaderMap, Request, Response, StatusCode, Uri, Version};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// An ALB gives up on a connection to a target after 10 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Headers that concern one connection only.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

#[derive(Clone)]
struct Listener {
    alb: LocalAlb,
    arn: Arc<str>,
    client: Client<HttpConnector, Body>,
    turn: Arc<AtomicUsize>,
}

/// One listener that forwards everything to one target group.
pub(crate) fn router(alb: LocalAlb, arn: &str) -> Router {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(alb.model().settings.idle_timeout)
        .build(connector);
    let listener = Listener { alb, arn: arn.into(), client, turn: Arc::default() };
    Router::new().fallback(forward).with_state(listener)
}

/// Where one request goes, and what ends it early.
struct Chosen {
    authority: SocketAddr,
    in_flight: InFlight,
    cut: watch::Receiver<Option<Instant>>,
}

/// Counts a request as long as it, or its answer's body, lives.
struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn forward(
    State(listener): State<Listener>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    mut request: Request<Body>,
) -> Response<Body> {
    let (chosen, idle_timeout) = match listener.choose() {
        Ok(chosen) => chosen,
        Err(why) => return failure(StatusCode::SERVICE_UNAVAILABLE, why),
    };
    if rewrite(&mut request, chosen.authority, from).is_err() {
        return failure(StatusCode::BAD_REQUEST, "the request line cannot be forwarded");
    }
    let mut cut = chosen.cut.clone();
    let answer = tokio::select! {
        answer = timeout(idle_timeout, listener.client.request(request)) => answer,
        () = delay_elapsed(&mut cut) => {
            return failure(StatusCode::BAD_GATEWAY, "the deregistration delay of the target has elapsed");
        }
    };
    match answer {
        Ok(Ok(answer)) => relay(answer, chosen),
        Ok(Err(error)) => {
            tracing::debug!("a request to {} failed: {error:?}", chosen.authority);
            failure(StatusCode::BAD_GATEWAY, "the target refused or closed the connection")
        }
        Err(_) => failure(StatusCode::GATEWAY_TIMEOUT, "the target did not answer in time"),
    }
}

impl Listener {
    /// The next target in turn: among the healthy ones, else among all that are registered.
    fn choose(&self) -> Result<(Chosen, Duration), &'static str> {
        let now = Instant::now();
        let model = self.alb.model();
        let lag = model.settings.propagation_lag;
        let Some(group) = model.groups.get(&*self.arn) else { return Err("the target group does not exist") };
        let mut candidates = Vec::new();
        for wanted in [Eligible::Healthy, Eligible::OnlyIfNobodyElse] {
            candidates
                .extend(group.targets.iter().filter(|(_, target)| target.gets_requests(now, lag) == wanted));
            if !candidates.is_empty() {
                break;
            }
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let Some(((id, port), target)) = turn.checked_rem(candidates.len()).and_then(|at| candidates.get(at))
        else {
            return Err("the target group has no registered targets");
        };
        let address =
            model.instances.get(id).map(|instance| instance.address).or_else(|| id.parse::<IpAddr>().ok());
        let Some(address) = address else { return Err("the target's address is not known") };
        target.in_flight.fetch_add(1, Ordering::Relaxed);
        let chosen = Chosen {
            authority: SocketAddr::new(address, *port),
            in_flight: InFlight(target.in_flight.clone()),
            cut: target.cut.subscribe(),
        };
        Ok((chosen, model.settings.idle_timeout))
    }
}

/// Resolves at the end of the deregistration delay, if it comes to that.
async fn delay_elapsed(cut: &mut watch::Receiver<Option<Instant>>) {
    loop {
        let deadline = *cut.borrow_and_update();
        let changed = async {
            if cut.changed().await.is_err() {
                // The load balancer is gone; nothing will be cut any more.
                std::future::pending::<()>().await;
            }
        };
        match deadline {
            None => changed.await,
            Some(deadline) => tokio::select! {
                () = sleep_until(deadline) => return,
                () = changed => (),
            },
        }
    }
}

fn rewrite(request: &mut Request<Body>, to: SocketAddr, from: SocketAddr) -> Result<(), axum::http::Error> {
    let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let authority = Authority::try_from(to.to_string())?;
    *request.uri_mut() =
        Uri::builder().scheme(Scheme::HTTP).authority(authority).path_and_query(path).build()?;
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    drop_hop_by_hop(headers);
    let before = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let chain = before.map_or_else(|| from.ip().to_string(), |before| format!("{before}, {}", from.ip()));
    headers.insert("x-forwarded-for", HeaderValue::try_from(chain)?);
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    Ok(())
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

fn relay(answer: Response<Incoming>, chosen: Chosen) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    drop_hop_by_hop(&mut parts.headers);
    parts.version = Version::HTTP_11;
    let mut cut = chosen.cut;
    let cut = Box::pin(async move { delay_elapsed(&mut cut).await });
    Response::from_parts(parts, Body::new(Relayed { body, cut, _in_flight: chosen.in_flight }))
}

/// An answer's body on its way to the client; broken off at the end of the deregistration delay.
struct Relayed {
    body: Incoming,
    cut: Pin<Box<dyn Future<Output = ()> + Send>>,
    _in_flight: InFlight,
}

impl hyper::body::Body for Relayed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new))),
            Poll::Pending if self.cut.as_mut().poll(context).is_ready() => {
                Poll::Ready(Some(Err(axum::Error::new("the deregistration delay has elapsed"))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The load balancer's own answer.
fn failure(status: StatusCode, why: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{status}: {why}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response.headers_mut().insert(header::SERVER, HeaderValue::from_static("local-alb"));
    response
}
