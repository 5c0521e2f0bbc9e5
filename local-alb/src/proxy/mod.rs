//! The data plane: forwards HTTP/1.1 requests to the targets of a group.

mod connections;
mod ending;
mod headers;
mod web_socket;

use crate::dial::Dial;
use crate::load_balancer::LocalAlb;
use crate::serve::{Connection, Served};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{self, HeaderValue};
use axum::http::uri::Scheme;
use axum::http::{Method, Request, Response, StatusCode, Version};
use connections::Connections;
use ending::{Activity, Early, InFlight, Relayed, Sent, ended_early};
use hyper_util::client::legacy::{Client, Error};
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
    connections: Arc<Connections>,
    turn: Arc<AtomicUsize>,
}

/// A listener that forwards all requests to one target group.
pub(crate) fn listener(alb: LocalAlb, arn: &str) -> Served {
    let idle_timeout = Some(alb.model().settings.idle_timeout);
    let connections = Connections::of(&alb);
    let listener = Listener { alb, arn: arn.into(), connections, turn: Arc::default() };
    Served { router: Router::new().fallback(forward).with_state(listener), idle_timeout }
}

/// The target of a request, and what ends the request early.
struct Chosen {
    scheme: Scheme,
    authority: SocketAddr,
    client: Client<Dial, Body>,
    in_flight: InFlight,
    cut: watch::Receiver<Option<Instant>>,
    idle_timeout: Duration,
}

async fn forward(
    State(listener): State<Listener>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    mut request: Request<Body>,
) -> Response<Body> {
    if let Some(refusal) = refused(&request) {
        return refusal;
    }
    let chosen = match listener.choose() {
        Ok(chosen) => chosen,
        Err(why) => return failure(StatusCode::SERVICE_UNAVAILABLE, why),
    };
    let upgrade = headers::asks_for_web_socket(request.headers()).then(|| hyper::upgrade::on(&mut request));
    let activity = Activity::new(chosen.idle_timeout);
    let mut request = request.map(|body| Body::new(Sent::new(body, activity.clone())));
    if headers::rewrite(&mut request, chosen.scheme, chosen.authority, &connection).is_err() {
        return failure(StatusCode::BAD_REQUEST, "the request line cannot be forwarded");
    }
    if upgrade.is_some() {
        headers::upgrade_to_web_socket(request.headers_mut());
    }
    let mut early = Box::pin(ended_early(chosen.cut.clone(), activity.clone()));
    let answer = tokio::select! {
        answer = chosen.client.request(request) => answer,
        early = &mut early => return too_early(early, &activity),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            tracing::debug!("a request to {} failed: {error:?}", chosen.authority);
            return failed(&error, &activity);
        }
    };
    activity.heard();
    match upgrade {
        Some(client) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
            web_socket::join(client, answer, chosen.idle_timeout, chosen.cut, chosen.in_flight)
        }
        _ if headers::response_too_long(answer.headers()) => {
            failure(StatusCode::BAD_GATEWAY, "the headers of the target's response are longer than 32 K")
        }
        _ => {
            let (parts, body) = answer.into_parts();
            let (body, sent) = Relayed::new(body, activity, chosen.in_flight);
            // Not by the body itself, which nobody asks for more while a client takes nothing.
            connection.break_off(async move {
                tokio::select! {
                    _ = early => (),
                    _ = sent => std::future::pending().await,
                }
            });
            relay(Response::from_parts(parts, Body::new(body)))
        }
    }
}

/// The response to a request that no target gets.
fn refused<B>(request: &Request<B>) -> Option<Response<Body>> {
    if request.method() == Method::TRACE {
        return Some(failure(StatusCode::METHOD_NOT_ALLOWED, "TRACE is not allowed"));
    }
    if headers::forwarded(request.headers()).count() > MOST_FORWARDED {
        let status = StatusCode::from_u16(463).unwrap_or(StatusCode::BAD_REQUEST);
        return Some(failure(status, "X-Forwarded-For has more than 30 addresses"));
    }
    headers::too_long(request).then(|| {
        let why = "the request line or a header is longer than 16 K, or all headers are longer than 64 K";
        failure(StatusCode::BAD_REQUEST, why)
    })
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
        let authority = SocketAddr::new(address, *port);
        let cut = target.cut.subscribe();
        Ok(Chosen {
            scheme: if group.settings.protocol == "HTTPS" { Scheme::HTTPS } else { Scheme::HTTP },
            authority,
            client: self.connections.to(authority, target.registration, &cut),
            in_flight: InFlight::new(target.in_flight.clone()),
            cut,
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

/// The response to a request that could not be sent, or that got no response.
fn failed(error: &Error, activity: &Activity) -> Response<Body> {
    if of_the_client(error) {
        failure(StatusCode::BAD_REQUEST, "the body of the request broke off or cannot be read")
    } else if !timed_out(error) {
        failure(StatusCode::BAD_GATEWAY, "the target refused or closed the connection")
    } else if error.is_connect() {
        failure(StatusCode::GATEWAY_TIMEOUT, "the target did not accept the connection in time")
    } else {
        too_early(Early::Silence, activity)
    }
}

/// Whether the client's body failed, and not the target.
fn of_the_client(error: &Error) -> bool {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_user))
}

/// Whether the connection to the target timed out, while it was opened or later.
fn timed_out(error: &Error) -> bool {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    let timed_out = |cause: &io::Error| cause.kind() == io::ErrorKind::TimedOut;
    causes.any(|cause| cause.downcast_ref::<io::Error>().is_some_and(timed_out))
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
