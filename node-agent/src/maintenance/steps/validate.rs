//! validate: read everything that decides once more, right before leaving (docs/lease.md).

use crate::maintenance::context::{Driver, Step, StepError};
use crate::maintenance::last_look::validate_groups;
use crate::maintenance::way::standby;

pub(super) async fn run(driver: &mut Driver) -> Step {
    // Attributes may have changed during hours in the queue. They come before the reads that have to be recent.
    read_attributes(driver).await?;
    // Other nodes may have been moved to standby meanwhile.
    if driver.operation.standby.is_some()
        && let Some(why) = standby::may_begin(driver).await?
    {
        return Err(StepError::Blocked(why));
    }
    validate_groups(driver).await?;
    // The last chance to cancel with nothing changed.
    driver.still_wanted()
}

async fn read_attributes(driver: &mut Driver) -> Step {
    for index in 0..driver.operation.groups.len() {
        let attributes = driver.ask_group(index, async |lb, arn| lb.attributes(arn).await).await?;
        if let Some((group, attributes)) = driver.operation.live_group(index).zip(attributes) {
            group.attributes = attributes;
        }
    }
    Ok(())
}
