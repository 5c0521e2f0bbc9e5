//! The demo web service behind the load balancer.
//!
//! | Path         | Answer |
//! |--------------|--------|
//! | `/healthz`   | `200 ok`; `503 shutting down` once shutdown has begun |
//! | `/in-flight` | the number of requests in flight, as a bare integer such as `3` |
//! | any other    | `Hello, World! From <hostname>`, as text |
//!
//! `?delay_ms=N` delays the greeting by N milliseconds, at most [`MAX_DELAY`]. Requests to `/healthz` and `/in-flight`
//! are not counted as in flight: monitoring must not delay the drain.
//!
//! On shutdown the service first goes on accepting, as a lame duck: `/healthz` fails and every answer has
//! `Connection: close`, so that the load balancer learns of it before a connection is refused. Then it stops accepting.
//! Requests on open connections are still answered, until no request is in flight or the drain limit is reached.

mod app;
mod cli;
mod connections;
mod serve;

pub use app::{MAX_DELAY, app};
pub use cli::{command, run};
pub use serve::{Ended, serve};

use std::time::Duration;

/// Settings of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name in the greeting. `None` reads the kernel's host name at each request, because cloud-init may set it late.
    pub hostname: Option<String>,
    /// How long connections are still accepted once shutdown has begun, at most. A load balancer needs its health check
    /// interval times its unhealthy threshold to notice. Zero if the node has been drained before.
    pub lame_duck: Duration,
    /// Time limit for requests in flight once no more connections are accepted.
    pub drain_limit: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { hostname: None, lame_duck: Duration::from_secs(15), drain_limit: Duration::from_secs(30) }
    }
}
