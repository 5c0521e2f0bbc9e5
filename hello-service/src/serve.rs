//! Listening and leaving: stay a while for those who do not know yet, stop accepting, finish the requests in flight, return.

use std::{future::Future, io, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    Settings,
    app::{Shared, routes},
    connections::Accepting,
};

/// How long nothing must be connected before nobody is expected any more.
const NOBODY_FOR: Duration = Duration::from_secs(1);

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

/// Serves on `listener` until `shutdown` completes. Then goes on accepting for `settings.lame_duck`, with `/healthz` failing,
/// until whoever checks it sends nothing new; ends that early once nothing has been connected for a second. Then drains for
/// at most `settings.drain_limit`.
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
    let (closing, closed) = watch::channel(false);
    let open = Arc::new(watch::Sender::new(0));
    let accepting = Accepting { listener: Some(listener), closed: closed.clone(), open: open.clone() };

    let nothing_in_flight = {
        let shared = shared.clone();
        async move {
            shutdown.await;
            shared.shutting_down.send_replace(true);
            // At its end, time is up.
            let _ = timeout(settings.lame_duck, nobody_connected(open.subscribe())).await;
            closing.send_replace(true);
            // `shared` holds the sender, so this wait cannot fail.
            let _ = shared.in_flight.subscribe().wait_for(|&count| count == 0).await;
        }
    };
    let limit_passed = {
        let mut closed = closed;
        async move {
            let _ = closed.wait_for(|&closed| closed).await;
            sleep(settings.drain_limit).await;
        }
    };

    tokio::select! {
        ended = axum::serve(accepting, routes(shared.clone())).with_graceful_shutdown(nothing_in_flight) => {
            ended.map(|()| Ended::Drained)
        }
        () = limit_passed => Ok(Ended::LimitReached { in_flight: *shared.in_flight.borrow() }),
    }
}

/// Waits until nothing has been connected for a while: a load balancer opens connections as it needs them.
async fn nobody_connected(mut open: watch::Receiver<usize>) {
    loop {
        if open.wait_for(|&open| open == 0).await.is_err() {
            return;
        }
        if timeout(NOBODY_FOR, open.wait_for(|&open| open > 0)).await.is_err() {
            return;
        }
    }
}
