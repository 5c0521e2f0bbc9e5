//! Waiting for what must come about.

use std::time::Duration;

use anyhow::Context;
use tokio::time::{sleep, timeout};

/// Longer than any step takes, even on a machine that does other things too.
const LIMIT: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(50);

/// Waits until `holds` does.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) -> anyhow::Result<()> {
    in_time(what, async {
        while !holds() {
            sleep(POLL).await;
        }
    })
    .await
}

/// Waits for `future`, but not for ever.
pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> anyhow::Result<T> {
    timeout(LIMIT, future).await.with_context(|| format!("not in {} s: {what}", LIMIT.as_secs()))
}
