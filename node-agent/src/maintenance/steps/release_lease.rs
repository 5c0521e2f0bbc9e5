//! release_lease: give the lease back, once nothing can take us out behind our back.

use crate::lease::{LeaseState, Leases, Reading};
use crate::maintenance::context::{Driver, Step, StepError};
use crate::record::{CommandState, Verdict};

pub(super) async fn run(driver: &mut Driver) -> Step {
    if wait_out_deregisters(driver).await? {
        // It may have landed while we waited; only healthy nodes may release.
        return Err(StepError::Blocked(
            "a DeregisterTargets without an answer may have taken us out again".to_owned(),
        ));
    }
    for index in (0..driver.operation.groups.len()).rev() {
        let leave = mark_left_behind(driver, index);
        driver.give_back(index, leave).await?;
    }
    if driver.operation.going_down.is_some() {
        // The machine does not wait for it. What lands meanwhile is removed after the boot.
        return Ok(());
    }
    for index in 0..driver.operation.groups.len() {
        remove_late_claim(driver, index).await?;
    }
    Ok(())
}

/// A claim whose answer was lost may land after it was taken back. Nobody would be there to remove it, and it would
/// stop the fleet; so we stay until it can no longer come.
async fn remove_late_claim(driver: &mut Driver, index: usize) -> Step {
    while driver.wait_out_tag_writes(index).await? {
        let Some(tags) = driver.group_tags(index).await? else { return Ok(()) };
        let own = Leases::from_tags(&tags).of(&driver.identity.instance_id).map(Reading::takes_slot);
        if own == Some(true) {
            tracing::warn!("a claim of ours that was given up has landed: removing it");
            let leave = mark_left_behind(driver, index);
            driver.write_off(index, leave).await?;
        }
    }
    Ok(())
}

/// R3: a DeregisterTargets whose answer was lost may land until Q has passed. True when there was one: it may have
/// landed since we last saw ourselves in service, even when Q passed while nobody of us was running.
async fn wait_out_deregisters(driver: &mut Driver) -> Step<bool> {
    let quarantine = driver.operation.request.settings.quarantine.0;
    let had_some = driver.operation.leaving_in_doubt().any(|calls| !calls.is_empty());
    loop {
        let now = driver.now()?;
        let Some(left) =
            driver.operation.leaving_in_doubt().filter_map(|calls| calls.left(&now, quarantine)).max()
        else {
            driver.operation.forget_leaving_in_doubt();
            return Ok(had_some);
        };
        driver.look_again(left, "a DeregisterTargets without an answer to be past").await?;
    }
}

/// A node whose command failed stays marked, so that the roll stops; so does one that had failed before and has
/// not succeeded since.
fn mark_left_behind(driver: &Driver, index: usize) -> Option<LeaseState> {
    let operation = &driver.operation;
    let failed_now = operation.command == CommandState::Failed;
    let failed_before = operation.groups.get(index).is_some_and(|group| group.failed_before);
    let not_made_good = operation.verdict() != Verdict::Succeeded;
    (failed_now || (failed_before && not_made_good)).then_some(LeaseState::Failed)
}
