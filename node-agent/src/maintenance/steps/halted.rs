//! halted: keep the lease, and mark its tag as halted: a person is needed. The driver then
//! stays in `parked.rs`.

use crate::aws::load_balancer::CallError;
use crate::lease::{LeaseState, Leases, Reading};
use crate::maintenance::context::{DriveError, Driver};
use crate::maintenance::lease_writer::Sent;
use std::time::Duration;

/// How many times to try. `held` keeps the slot as well as `halted` does, and a driver that stays retries whenever it
/// checks the lease.
const TRIES: u32 = 5;

/// Marks the lease in every group as halted.
pub(crate) async fn mark(driver: &mut Driver) -> Result<(), DriveError> {
    for index in 0..driver.operation.groups.len() {
        let live = driver.operation.live_group(index).is_some_and(|group| group.claim.is_some());
        let mut pause = Duration::from_secs(1);
        for _ in 0..if live { TRIES } else { 0 } {
            match mark_one(driver, index).await? {
                None => break,
                Some(error) => tracing::warn!("failed to mark the lease as halted: {error}"),
            }
            driver.rest(pause).await?;
            pause *= 2;
        }
    }
    driver.save()
}

/// Marks one lease, and returns why that failed. Keeps an operator's `broken`.
async fn mark_one(driver: &mut Driver, index: usize) -> Result<Option<CallError>, DriveError> {
    let Some(arn) = driver.operation.live_group(index).map(|group| group.arn.clone()) else {
        return Ok(None);
    };
    let tags = match driver.load_balancer.tags(std::slice::from_ref(&arn)).await {
        Ok(tags) => tags.get(&arn).cloned().unwrap_or_default(),
        Err(error) => return Ok(Some(error)),
    };
    let shown = Leases::from_tags(&tags).of(&driver.identity.instance_id).and_then(Reading::state);
    if shown == Some(LeaseState::Broken) {
        return Ok(None);
    }
    Ok(match driver.send_tag(index, Some(LeaseState::Halted)).await? {
        Sent::Applied => None,
        Sent::NotApplied(error) | Sent::InDoubt(error) => Some(error),
    })
}
