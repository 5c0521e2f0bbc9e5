//! Putting a router on a socket: on loopback, and nowhere else.

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It would be reachable from outside.
    #[error("failed to serve on {0}: this stand-in has no authentication and serves loopback addresses only")]
    NotLoopback(SocketAddr),
    /// The socket does not work.
    #[error("failed to serve: {0}")]
    Io(#[from] io::Error),
}

/// Serves until `shutdown` resolves; requests under way are finished.
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

/// The two ends of a client's connection, as far as a target is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    /// The client.
    pub(crate) from: SocketAddr,
    /// The port of the listener; 0 when the connection was gone before anybody asked.
    pub(crate) port: u16,
}

/// A listener whose small answers do not wait for each other, and whose connections know both of their ends.
struct Loopback(TcpListener);

impl Listener for Loopback {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (connection, from) = Listener::accept(&mut self.0).await;
        // A connection that is gone already needs no setting.
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
