//! The demo web service behind the load balancer.
//!
//! | Path         | Answer |
//! |--------------|--------|
//! | `/healthz`   | `200 ok`; `503 shutting down` once shutdown has begun |
//! | `/in-flight` | the number of requests being worked on, a bare integer such as `3` |
//! | any other    | `Hello, World! From <hostname>`, as text |
//!
//! `?delay_ms=N` on the greeting makes it slow by N milliseconds, at most [`MAX_DELAY`]. Requests to `/healthz` and
//! `/in-flight` are not counted as in flight: watching a service must not keep it busy.
//!
//! On shutdown the service stops accepting connections. Connections that are open already are still answered, each
//! with `Connection: close`, until no request is in flight or the drain limit has passed.

mod app;
mod cli;
mod serve;

pub use app::{MAX_DELAY, app};
pub use cli::{command, run};
pub use serve::{Ended, serve};

use std::time::Duration;

/// How the service behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name in the greeting. `None` asks the kernel at every request, because cloud-init may set it late.
    pub hostname: Option<String>,
    /// How long requests in flight may take to finish once shutdown has begun.
    pub drain_limit: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { hostname: None, drain_limit: Duration::from_secs(30) }
    }
}
