//! The idle time-out of a connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// A connection that fails with [`io::ErrorKind::TimedOut`] once no byte has passed for the idle time-out.
pub(crate) struct Idle<S> {
    stream: S,
    idle_timeout: Duration,
    last: Instant,
    timer: Pin<Box<Sleep>>,
}

impl<S> Idle<S> {
    pub(crate) fn new(stream: S, idle_timeout: Duration) -> Idle<S> {
        let last = Instant::now();
        Idle { stream, idle_timeout, last, timer: Box::pin(sleep_until(last + idle_timeout)) }
    }

    /// Notes that a byte passed, or waits for the end of the idle time-out.
    fn watch<T>(&mut self, context: &mut Context<'_>, passed: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if passed.is_ready() {
            self.last = Instant::now();
            return passed;
        }
        loop {
            ready!(self.timer.as_mut().poll(context));
            let until = self.last + self.idle_timeout;
            if until <= Instant::now() {
                let silent = "no byte passed for the idle time-out";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, silent)));
            }
            self.timer.as_mut().reset(until);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Idle<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.watch(context, read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Idle<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
