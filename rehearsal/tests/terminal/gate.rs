//! Stands before the API and the service, and keeps the maintenance in the phase in which the terminal is to be closed.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use node_agent::record::journal;
use node_agent::record::phase::Phase;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// Open once the terminal has been closed.
#[derive(Clone)]
pub(crate) struct Gate {
    at: Phase,
    state: PathBuf,
    open: Arc<watch::Sender<bool>>,
}

impl Gate {
    pub(crate) fn new(at: Phase, state: PathBuf) -> Gate {
        Gate { at, state, open: Arc::new(watch::Sender::new(false)) }
    }

    /// Whether the maintenance is where it is to be.
    pub(crate) fn is_reached(&self) -> bool {
        let operation = journal::read(&self.state).unwrap().and_then(|record| record.operation);
        operation.is_some_and(|operation| operation.phase == self.at)
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
        Phase::RunCommand | Phase::Reboot => (),
        _ if !gate.is_reached() => (),
        // The agent asks again until it is told to stop; a call that it has begun it would wait for.
        Phase::Validate => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        _ => {
            gate.open.subscribe().wait_for(|open| *open).await.unwrap();
        }
    }
    next.run(call).await
}
