//! register: register the targets on record.

use crate::maintenance::context::{Driver, Step, StepError};
use crate::maintenance::way::Way;

pub(super) async fn run(driver: &mut Driver) -> Step {
    Way::of(driver).come_back(driver).await?;
    if driver.operation.live_groups().next().is_none() {
        let reason = "all our target groups have been deleted; register this node in its new one by hand";
        driver.fail(driver.operation.phase, &StepError::Failed(reason.to_owned()));
    }
    Ok(())
}
