//! validate: everything that decides, read once more, as close to leaving as can be (docs/lease.md).

use crate::maintenance::context::{Driver, Step, StepError};
use crate::maintenance::last_look::validate_groups;
use crate::maintenance::way::standby;

pub(super) async fn run(driver: &mut Driver) -> Step {
    // What changes seldom comes before the reads that have to be fresh: hours may have passed in the queue.
    read_attributes(driver).await?;
    // Others may have been moved to standby while we waited for our turn.
    if driver.operation.standby.is_some()
        && let Some(why) = standby::may_begin(driver).await?
    {
        return Err(StepError::Blocked(why));
    }
    validate_groups(driver).await?;
    // The last moment at which it can be let be.
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
