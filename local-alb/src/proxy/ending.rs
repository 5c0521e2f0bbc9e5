//! What ends a request before its response is complete: the idle time-out and the end of the deregistration delay.

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};

/// Why a request ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Early {
    #[error("neither the client nor the target sent anything for the idle time-out")]
    Silence,
    #[error("the deregistration delay of the target has elapsed")]
    DelayElapsed,
}

/// When the client or the target last sent something for a request.
#[derive(Debug, Clone)]
pub(super) struct Activity {
    began: Instant,
    /// Microseconds after `began`. An atomic, because it is stored for every chunk of a body.
    last: Arc<AtomicU64>,
    idle_timeout: Duration,
    /// The client has sent all of its request.
    is_sent: Arc<AtomicBool>,
}

impl Activity {
    pub(super) fn new(idle_timeout: Duration) -> Activity {
        Activity { began: Instant::now(), last: Arc::default(), idle_timeout, is_sent: Arc::default() }
    }

    /// The request is complete: from now on it is the target that is waited for.
    pub(super) fn sent(&self) {
        self.is_sent.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_sent(&self) -> bool {
        self.is_sent.load(Ordering::Relaxed)
    }

    pub(super) fn heard(&self) {
        let passed = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last.store(passed, Ordering::Relaxed);
    }

    /// When the idle time-out elapses if nothing else arrives.
    fn silent_at(&self) -> Instant {
        self.began + Duration::from_micros(self.last.load(Ordering::Relaxed)) + self.idle_timeout
    }
}

/// Resolves when a request has to end before its response is complete. Once its target is deregistered, `cut` holds the
/// end of the deregistration delay.
pub(super) async fn ended_early(cut: watch::Receiver<Option<Instant>>, activity: Activity) -> Early {
    let silence = async {
        while activity.silent_at() > Instant::now() {
            sleep_until(activity.silent_at()).await;
        }
    };
    tokio::select! {
        biased;
        () = delay_elapsed(cut) => Early::DelayElapsed,
        () = silence => Early::Silence,
    }
}

/// Resolves at the end of the deregistration delay, unless the target is registered again before.
pub(super) async fn delay_elapsed(mut cut: watch::Receiver<Option<Instant>>) {
    loop {
        let end = *cut.borrow_and_update();
        let elapsed = async {
            match end {
                Some(end) => sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = elapsed => return,
            changed = cut.changed() => if changed.is_err() {
                // The target group was deleted; there is no delay to wait for.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// A request's body on its way to the target. Each chunk is a sign of life.
pub(super) struct Sent {
    body: Body,
    activity: Activity,
}

impl Sent {
    pub(super) fn new(body: Body, activity: Activity) -> Sent {
        if body.is_end_stream() {
            activity.sent();
        }
        Sent { body, activity }
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(ready) = &frame {
            self.activity.heard();
            if ready.is_none() || self.body.is_end_stream() {
                self.activity.sent();
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Counts a request as in flight until it or its response body is dropped.
pub(super) struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    pub(super) fn new(count: Arc<AtomicUsize>) -> InFlight {
        count.fetch_add(1, Ordering::Relaxed);
        InFlight(count)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A response body on its way to the client.
pub(super) struct Relayed {
    body: Incoming,
    activity: Activity,
    _in_flight: InFlight,
    /// Dropped with the body.
    _to_be_sent: oneshot::Sender<()>,
}

impl Relayed {
    /// The second value resolves once the body is sent or given up.
    pub(super) fn new(
        body: Incoming,
        activity: Activity,
        in_flight: InFlight,
    ) -> (Relayed, oneshot::Receiver<()>) {
        let (to_be_sent, sent) = oneshot::channel();
        (Relayed { body, activity, _in_flight: in_flight, _to_be_sent: to_be_sent }, sent)
    }
}

impl HttpBody for Relayed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.activity.heard();
        Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{sleep, timeout};

    const IDLE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn silence_counts_from_the_last_sign_of_life() {
        let (_cut, told) = watch::channel(None);
        let (activity, began) = (Activity::new(IDLE), Instant::now());
        let signs = async {
            for _ in 0..3 {
                sleep(IDLE / 2).await;
                activity.heard();
            }
        };
        let (early, ()) = tokio::join!(ended_early(told, activity.clone()), signs);
        assert_eq!((early, began.elapsed().as_secs()), (Early::Silence, 150));
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_ends_a_request_unless_the_target_comes_back() {
        let (cut, told) = watch::channel(Some(Instant::now() + IDLE / 2));
        let activity = Activity::new(IDLE);
        assert_eq!(ended_early(told.clone(), activity.clone()).await, Early::DelayElapsed);
        activity.heard();
        cut.send_replace(None);
        assert!(timeout(IDLE / 2, ended_early(told.clone(), activity.clone())).await.is_err());
        drop(cut);
        assert_eq!(ended_early(told, activity).await, Early::Silence);
    }
}
