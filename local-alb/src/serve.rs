//! Serves a router on a socket. Loopback only.

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};

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

/// Serves until `shutdown` resolves, then finishes the requests in flight.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    let service = router.into_make_service_with_connect_info::<Connection>();
    Ok(axum::serve(Loopback(listener), service).with_graceful_shutdown(shutdown).await?)
}

/// What `X-Forwarded-*` headers say about a client's connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    /// The client's address.
    pub(crate) from: SocketAddr,
    /// The listener's port; 0 if the connection was closed before it was read.
    pub(crate) port: u16,
}

/// A listener that sets TCP_NODELAY, and whose connections know both of their addresses.
struct Loopback(TcpListener);

impl Listener for Loopback {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (connection, from) = Listener::accept(&mut self.0).await;
        // Fails only if the connection is already closed.
        let _ = connection.set_nodelay(true);
        (connection, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Loopback>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Loopback>) -> Connection {
        let port = stream.io().local_addr().map_or(0, |address| address.port());
        Connection { from: *stream.remote_addr(), port }
    }
}
