//! WebSockets: bytes in both directions, once the target has agreed.

use super::ending::{InFlight, delay_elapsed};
use super::headers;
use crate::idle::Idle;
use axum::body::Body;
use axum::http::Response;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::sync::watch;
use tokio::time::Instant;

/// Joins the client with the target, until one of them closes, no byte passes for the idle time-out, or the deregistration
/// delay of the target has elapsed.
pub(super) fn join(
    client: OnUpgrade,
    mut agreed: Response<Incoming>,
    idle_timeout: Duration,
    cut: watch::Receiver<Option<Instant>>,
    in_flight: InFlight,
) -> Response<Body> {
    let target = hyper::upgrade::on(&mut agreed);
    tokio::spawn(async move {
        let _in_flight = in_flight;
        let (Ok(target), Ok(client)) = (target.await, client.await) else { return };
        let mut target = TokioIo::new(target);
        // As the connection to the target is: while one side takes nothing, nobody looks at the other one.
        let mut client = Idle::new(TokioIo::new(client), idle_timeout);
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut target) => (),
            () = delay_elapsed(cut) => (),
        }
    });
    headers::drop_hop_by_hop(agreed.headers_mut());
    headers::upgrade_to_web_socket(agreed.headers_mut());
    agreed.map(|_| Body::empty())
}
