//! Putting a router on a socket: on loopback, and nowhere else.

use axum::Router;
use axum::serve::ListenerExt;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;

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
    let listener = listener.tap_io(|connection| {
        // Small answers must not wait for each other. A connection that is gone already needs no setting.
        let _ = connection.set_nodelay(true);
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, service).with_graceful_shutdown(shutdown).await?)
}
