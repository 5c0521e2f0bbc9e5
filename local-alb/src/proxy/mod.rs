//! The data plane: forwards HTTP/1.1 requests to the targets of a group.

mod ending;
mod headers;

use crate::load_balancer::LocalAlb;
use crate::serve::Connection;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{self, HeaderValue};
use axum::http::{Method, Request, Response, StatusCode, Version};
use ending::{Activity, Early, InFlight, Relayed, Sent, ended_early};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// AWS's limit for the addresses in `X-Forwarded-For` (ALB user guide, "HTTP 463").
const MOST_FORWARDED: usize = 30;

#[derive(Clone)]
struct Listener {
    alb: LocalAlb,
    arn: Arc<str>,
    client: Client<HttpConnector, Body>,
    turn: Arc<AtomicUsize>,
}

/// A listener that forwards all requests to one target group.
pub(crate) fn router(alb: LocalAlb, arn: &str) -> Router {
    let (idle_timeout, connect_timeout) = {
        let settings = &alb.model().settings;
        (settings.idle_timeout, settings.connect_timeout)
    };
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(connect_timeout));
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(idle_timeout)
        // A request on a connection that the target has just closed is lost, as it is on AWS.
        .retry_canceled_requests(false)
        .build(connector);
    let listener = Listener { alb, arn: arn.into(), client, turn: Arc::default() };
    Router::new().fallback(forward).with_state(listener)
}

/// The target of a request, and what ends the request early.
struct Chosen {
    authority: SocketAddr,
    in_flight: InFlight,
    cut: watch::Receiver<Option<Instant>>,
    idle_timeout: Duration,
}

async fn forward(
    State(listener): State<Listener>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request<Body>,
) -> Response<Body> {
    if request.method() == Method::TRACE {
        return failure(StatusCode::METHOD_NOT_ALLOWED, "TRACE is not allowed");
    }
    if headers::forwarded(request.headers()).count() > MOST_FORWARDED {
        let status = StatusCode::from_u16(463).unwrap_or(StatusCode::BAD_REQUEST);
        return failure(status, "X-Forwarded-For has more than 30 addresses");
    }
    let chosen = match listener.choose() {
        Ok(chosen) => chosen,
        Err(why) => return failure(StatusCode::SERVICE_UNAVAILABLE, why),
    };
    let activity = Activity::new(chosen.idle_timeout);
    let mut request = request.map(|body| Body::new(Sent::new(body, activity.clone())));
    if headers::rewrite(&mut request, chosen.authority, connection).is_err() {
        return failure(StatusCode::BAD_REQUEST, "the request line cannot be forwarded");
    }
    let mut early = Box::pin(ended_early(chosen.cut, activity.clone()));
    let answer = tokio::select! {
        answer = listener.client.request(request) => answer,
        early = &mut early => return too_early(early, &activity),
    };
    match answer {
        Ok(answer) => {
            activity.heard();
            relay(answer.map(|body| Body::new(Relayed::new(body, activity, early, chosen.in_flight))))
        }
        Err(error) => {
            tracing::debug!("a request to {} failed: {error:?}", chosen.authority);
            if of_the_client(&error) {
                failure(StatusCode::BAD_REQUEST, "the body of the request broke off or cannot be read")
            } else if connect_timed_out(&error) {
                failure(StatusCode::GATEWAY_TIMEOUT, "the target did not accept the connection in time")
            } else {
                failure(StatusCode::BAD_GATEWAY, "the target refused or closed the connection")
            }
        }
    }
}

impl Listener {
    /// Chooses a target, round robin.
    fn choose(&self) -> Result<Chosen, &'static str> {
        let model = self.alb.model();
        let Some(group) = model.groups.get(&*self.arn) else { return Err("the target group does not exist") };
        let receivers = model.receivers(group, Instant::now());
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let Some(((id, port), target)) = turn.checked_rem(receivers.len()).and_then(|at| receivers.get(at))
        else {
            return Err("the target group has no registered targets");
        };
        let Some(address) = model.address_of(id) else { return Err("the target has no loopback address") };
        Ok(Chosen {
            authority: SocketAddr::new(address, *port),
            in_flight: InFlight::new(target.in_flight.clone()),
            cut: target.cut.subscribe(),
            idle_timeout: model.settings.idle_timeout,
        })
    }
}

/// The response to a request that ended before the target's response began.
fn too_early(early: Early, activity: &Activity) -> Response<Body> {
    let status = match early {
        Early::Silence if !activity.is_sent() => StatusCode::REQUEST_TIMEOUT,
        Early::Silence => StatusCode::GATEWAY_TIMEOUT,
        Early::DelayElapsed => StatusCode::BAD_GATEWAY,
    };
    failure(status, &early.to_string())
}

/// Whether the client's body failed, and not the target.
fn of_the_client(error: &Error) -> bool {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_user))
}

/// Distinguishes a connection that was refused from one that timed out.
fn connect_timed_out(error: &Error) -> bool {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    let timed_out = |cause: &io::Error| cause.kind() == io::ErrorKind::TimedOut;
    error.is_connect() && causes.any(|cause| cause.downcast_ref::<io::Error>().is_some_and(timed_out))
}

fn relay(mut answer: Response<Body>) -> Response<Body> {
    headers::drop_hop_by_hop(answer.headers_mut());
    *answer.version_mut() = Version::HTTP_11;
    answer
}

/// A response of the load balancer itself.
fn failure(status: StatusCode, why: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{status}: {why}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response.headers_mut().insert(header::SERVER, HeaderValue::from_static("local-alb"));
    response
}
