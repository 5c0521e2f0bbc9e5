//! Serves a router on a socket: HTTP/1.1 only, loopback only.

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

/// The most headers of a request or a response. AWS limits their length instead.
pub(crate) const MOST_HEADERS: usize = 1_000;

/// Why a router is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can be reached from outside.
    #[error("failed to serve on {0}: this stand-in has no authentication and serves loopback addresses only")]
    NotLoopback(SocketAddr),
    /// The socket failed.
    #[error("failed to serve: {0}")]
    Io(#[from] io::Error),
}

/// What a socket serves: a router, and for how long its clients may be silent.
#[derive(Debug)]
pub struct Served {
    pub(crate) router: Router,
    /// A connection is closed that does not send the head of a request within this time. `None`: it can take forever.
    pub(crate) idle_timeout: Option<Duration>,
}

impl From<Router> for Served {
    fn from(router: Router) -> Served {
        Served { router, idle_timeout: None }
    }
}

/// Serves until `shutdown` resolves, then finishes the requests in flight.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    mut listener: TcpListener,
    served: impl Into<Served>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    let served = served.into();
    let (running, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            // The trait's `accept` retries after errors such as too many open files.
            (stream, from) = axum::serve::Listener::accept(&mut listener) => {
                let router = served.router.clone();
                connections.spawn(converse(stream, from, router, served.idle_timeout, stopping.clone()));
            }
            Some(_) = connections.join_next() => (),
            () = &mut shutdown => break,
        }
    }
    drop((listener, running));
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Resolves when a client's connection is to be broken off.
type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A client's connection.
#[derive(Clone)]
pub(crate) struct Connection {
    /// The client's address.
    pub(crate) from: SocketAddr,
    /// The listener's port; 0 if the connection was closed before it was read.
    pub(crate) port: u16,
    endings: mpsc::UnboundedSender<Ending>,
}

impl Connection {
    /// The second value receives what breaks the connection off.
    pub(crate) fn of(from: SocketAddr, port: u16) -> (Connection, mpsc::UnboundedReceiver<Ending>) {
        let (endings, set) = mpsc::unbounded_channel();
        (Connection { from, port, endings }, set)
    }

    /// Breaks the connection off when `when` resolves, even if the client takes nothing. Replaces what was set before.
    pub(crate) fn break_off(&self, when: impl Future<Output = ()> + Send + 'static) {
        // Fails only if the connection is closed.
        let _ = self.endings.send(Box::pin(when));
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection from {} to port {}", self.from, self.port)
    }
}

/// Answers the requests of one connection.
async fn converse(
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
    idle_timeout: Option<Duration>,
    mut stopping: watch::Receiver<()>,
) {
    // Fails only if the connection is already closed.
    let _ = stream.set_nodelay(true);
    let port = stream.local_addr().map_or(0, |address| address.port());
    let (connection, mut set) = Connection::of(from, port);
    let answer = service_fn(|request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(connection.clone()));
        router.clone().oneshot(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(idle_timeout).max_headers(MOST_HEADERS);
    let mut conversation = pin!(http.serve_connection(TokioIo::new(stream), answer).with_upgrades());
    let mut ending: Ending = Box::pin(std::future::pending());
    let mut stops = false;
    loop {
        tokio::select! {
            ended = conversation.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!("a connection from {from} failed: {error}");
                }
                return;
            }
            Some(when) = set.recv() => ending = when,
            () = &mut ending => return,
            // The sender is only ever dropped.
            _ = stopping.changed(), if !stops => {
                stops = true;
                conversation.as_mut().graceful_shutdown();
            }
        }
    }
}
