//! Listening and graceful shutdown: stop accepting, finish the requests in flight, return.

use std::{future::Future, io, net::SocketAddr};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{
    Settings,
    app::{Shared, routes},
};

/// How the shutdown ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every request in flight was answered.
    Drained,
    /// The drain limit was reached with requests still in flight; they get no response.
    LimitReached {
        /// The number of these requests.
        in_flight: usize,
    },
}

/// Serves on `listener` until `shutdown` completes, then drains for at most `settings.drain_limit`.
///
/// Idle connections do not delay the shutdown. Connections that are busy at the limit stay open until the runtime stops.
///
/// # Errors
/// Errors of the listener. A failed connection is not one of them.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<Ended> {
    let shared = Shared::new(&settings);
    let accepting = Accepting { listener: Some(listener), shutting_down: shared.shutting_down.subscribe() };

    let nothing_in_flight = {
        let shared = shared.clone();
        async move {
            shutdown.await;
            shared.shutting_down.send_replace(true);
            // `shared` holds the senders, so neither of these waits can fail.
            let _ = shared.in_flight.subscribe().wait_for(|&count| count == 0).await;
        }
    };
    let limit_passed = {
        let mut shutting_down = shared.shutting_down.subscribe();
        async move {
            let _ = shutting_down.wait_for(|&begun| begun).await;
            tokio::time::sleep(settings.drain_limit).await;
        }
    };

    tokio::select! {
        ended = axum::serve(accepting, routes(shared.clone())).with_graceful_shutdown(nothing_in_flight) => {
            ended.map(|()| Ended::Drained)
        }
        () = limit_passed => Ok(Ended::LimitReached { in_flight: *shared.in_flight.borrow() }),
    }
}

/// A listener that closes when shutdown begins.
///
/// axum's graceful shutdown closes idle connections at once, and loses a request that is just arriving on one of them.
/// Here such requests are answered until nothing is in flight.
struct Accepting {
    listener: Option<TcpListener>,
    shutting_down: watch::Receiver<bool>,
}

impl axum::serve::Listener for Accepting {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        if let Some(listener) = &mut self.listener {
            tokio::select! {
                // The trait's `accept` retries after errors such as too many open files.
                accepted = axum::serve::Listener::accept(listener) => return accepted,
                _ = self.shutting_down.wait_for(|&begun| begun) => {}
            }
        }
        self.listener = None;
        std::future::pending().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.listener {
            Some(listener) => listener.local_addr(),
            None => Err(io::Error::new(io::ErrorKind::NotConnected, "the listener is closed")),
        }
    }
}
