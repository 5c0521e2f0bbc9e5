//! The idle connections to targets, which later requests use again.

use crate::dial::Dial;
use crate::load_balancer::LocalAlb;
use crate::serve::MOST_HEADERS;
use axum::body::Body;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// One client per target, and with it the idle connections to that target.
pub(super) struct Connections {
    dial: Dial,
    /// How long after the deregistration of a target its idle connections are closed. `None`: the idle time-out does it.
    closed_after: Option<Duration>,
    /// By the target's address.
    clients: Mutex<BTreeMap<SocketAddr, Registered>>,
}

/// The client of a target, with the number of the target's registration.
type Registered = (u64, Client<Dial, Body>);

impl Connections {
    pub(super) fn of(alb: &LocalAlb) -> Arc<Connections> {
        let dial = alb.dial();
        let settings = &alb.model().settings;
        let closed_after = (!settings.keep_draining_connections).then_some(settings.propagation_lag);
        Arc::new(Connections { dial, closed_after, clients: Mutex::default() })
    }

    /// The client for this registration of a target.
    pub(super) fn to(
        self: &Arc<Connections>,
        target: SocketAddr,
        registration: u64,
        cut: &watch::Receiver<Option<Instant>>,
    ) -> Client<Dial, Body> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        match clients.get(&target) {
            Some((of, client)) if *of == registration || self.closed_after.is_none() => client.clone(),
            _ => {
                let client = self.client();
                clients.insert(target, (registration, client.clone()));
                if let Some(lag) = self.closed_after {
                    self.close_after(target, registration, lag, cut.clone());
                }
                client
            }
        }
    }

    fn client(&self) -> Client<Dial, Body> {
        Client::builder(TokioExecutor::new())
            // The connection itself ends after the idle time-out.
            .pool_idle_timeout(None)
            .http1_max_headers(MOST_HEADERS)
            // A request on a connection that the target has just closed is lost, as it is on AWS.
            .retry_canceled_requests(false)
            .build(self.dial.clone())
    }

    /// Closes the idle connections to a target once its deregistration has reached the data plane.
    fn close_after(
        self: &Arc<Connections>,
        target: SocketAddr,
        registration: u64,
        lag: Duration,
        mut cut: watch::Receiver<Option<Instant>>,
    ) {
        let connections = Arc::downgrade(self);
        tokio::spawn(async move {
            if cut.wait_for(Option::is_some).await.is_ok() {
                sleep(lag).await;
            }
            let Some(connections) = connections.upgrade() else { return };
            let mut clients = connections.clients.lock().unwrap_or_else(PoisonError::into_inner);
            if clients.get(&target).is_some_and(|(of, _)| *of == registration) {
                // With the client, its idle connections end. Requests in flight go on.
                clients.remove(&target);
            }
        });
    }
}
