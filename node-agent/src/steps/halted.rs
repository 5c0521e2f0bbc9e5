//! halted: the lease stays, and its tag says that a person is needed.

use crate::driver::{DriveError, Driver};
use crate::lease::Hold;
use std::time::Duration;

/// `held` holds the slot as well as `halted` does, so the change of word is tried this often and no more.
const TRIES: u32 = 5;

/// Marks the lease in every group as halted.
pub(crate) async fn mark(driver: &mut Driver) -> Result<(), DriveError> {
    for index in 0..driver.operation.groups.len() {
        let live =
            driver.operation.groups.get(index).is_some_and(|group| group.claim.is_some() && !group.gone);
        let mut pause = Duration::from_secs(1);
        for _ in 0..if live { TRIES } else { 0 } {
            match driver.send_tag(index, Some(Hold::Halted)).await? {
                Ok(()) => break,
                Err(error) => tracing::warn!("failed to mark the lease as halted: {error}"),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
    driver.save()
}
