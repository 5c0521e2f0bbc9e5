//! deregister: leave the target groups, then read them once more. The calls are in `way/targets.rs` and `way/standby.rs`.

use crate::maintenance::context::{Driver, Step, StepError};
use crate::maintenance::last_look::{read, validate_again};
use crate::maintenance::way::Way;

pub(super) async fn run(driver: &mut Driver) -> Step {
    if driver.validated.is_none() {
        // A new process, or a node that was registered again: the reads of its first departure are too old.
        validate_again(driver).await?;
    }
    Way::of(driver).leave(driver).await?;
    // A node that claimed or failed during our call is visible once everything has settled.
    let settle = driver.operation.request.settings.settle.0;
    driver.prove(settle, "for the deregistration to settle").await?;
    // A later departure needs new reads.
    driver.validated = None;
    enough_left(driver).await
}

/// Checks that enough other nodes are in service. The lease prevents a shortage; this check limits its damage.
async fn enough_left(driver: &mut Driver) -> Step {
    if driver.operation.forced {
        return Ok(());
    }
    for index in 0..driver.operation.groups.len() {
        let Some((group, reading)) = read(driver, index).await? else { continue };
        let settings = &driver.operation.request.settings;
        if let Err(why) = reading.enough_left(driver.identity.own_ids(group.target_type), settings) {
            return Err(StepError::Failed(format!(
                "returning to service at once: in target group {}, {why}",
                group.name
            )));
        }
    }
    Ok(())
}
