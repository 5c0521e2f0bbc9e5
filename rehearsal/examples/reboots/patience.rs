//! Waiting for a condition, with a time limit.

use std::time::Duration;

use anyhow::Context;
use tokio::time::{sleep, timeout};

/// Longer than any step takes, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(50);

/// Waits until the condition holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) -> anyhow::Result<()> {
    in_time(what, async {
        while !holds() {
            sleep(POLL).await;
        }
    })
    .await
}

/// Waits for `future`, up to the time limit.
pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> anyhow::Result<T> {
    timeout(LIMIT, future).await.with_context(|| format!("timed out after {} s: {what}", LIMIT.as_secs()))
}
