//! Stands before the API and the service, and keeps the maintenance in the phase in which the terminal is to be closed.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use node_agent::record::journal;
use node_agent::record::phase::Phase;
use node_agent::record::Operation;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// Where the maintenance is when the terminal is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Phase(Phase),
    /// The lease is held, and nothing has been sent.
    LeaseHeld,
}

impl At {
    /// The phase, in the words of the record.
    pub(crate) fn phase(self) -> Phase {
        match self {
            At::Phase(phase) => phase,
            At::LeaseHeld => Phase::Deregister,
        }
    }

    fn is(self, operation: &Operation) -> bool {
        match self {
            At::LeaseHeld => operation.phase == Phase::Deregister && !operation.out,
            At::Phase(Phase::Deregister) => operation.phase == Phase::Deregister && operation.out,
            At::Phase(phase) => operation.phase == phase,
        }
    }
}

/// Open once the terminal has been closed.
#[derive(Clone)]
pub(crate) struct Gate {
    at: At,
    state: PathBuf,
    open: Arc<watch::Sender<bool>>,
}

impl Gate {
    pub(crate) fn new(at: At, state: PathBuf) -> Gate {
        Gate { at, state, open: Arc::new(watch::Sender::new(false)) }
    }

    /// Whether the maintenance is where it is to be.
    pub(crate) fn is_reached(&self) -> bool {
        let operation = journal::read(&self.state).unwrap().and_then(|record| record.operation);
        operation.is_some_and(|operation| self.at.is(&operation))
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    /// The same router, behind the gate.
    pub(crate) fn before(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), pass))
    }
}

async fn pass(State(gate): State<Gate>, call: Request, next: Next) -> Response {
    match gate.at {
        // The command and the reboot take as long as the test likes.
        At::Phase(Phase::RunCommand | Phase::Reboot) => (),
        _ if !gate.is_reached() => (),
        // The agent asks again until it is told to stop; a call that it has begun it would wait for.
        At::LeaseHeld => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        At::Phase(_) => {
            gate.open.subscribe().wait_for(|open| *open).await.unwrap();
        }
    }
    next.run(call).await
}
