//! release_lease: release the lease, once no earlier call can take this node out any more.

use crate::lease::{LeaseState, Leases, Reading};
use crate::maintenance::context::{Driver, Step, StepError};
use crate::record::{CommandState, Verdict};

pub(super) async fn run(driver: &mut Driver) -> Step {
    if wait_out_deregisters(driver).await? {
        // It may have taken effect during the wait, and only a healthy node may release.
        return Err(StepError::Blocked(
            "an unanswered DeregisterTargets may have taken this node out again".to_owned(),
        ));
    }
    for index in (0..driver.operation.groups.len()).rev() {
        let leave = mark_left_behind(driver, index);
        driver.release(index, leave).await?;
    }
    if driver.operation.going_down.is_some() {
        // The shutdown does not wait. A late claim is removed after the boot.
        return Ok(());
    }
    for index in 0..driver.operation.groups.len() {
        remove_late_claim(driver, index).await?;
        remove_other_keys(driver, index).await?;
    }
    Ok(())
}

/// A lease under another key keeps its slot, or its mark of failure, for ever: nobody else removes it. IAM may allow a node
/// its own key alone, so each is tried once.
async fn remove_other_keys(driver: &mut Driver, index: usize) -> Step {
    let Some(group) = driver.operation.live_group(index) else { return Ok(()) };
    let (arn, name, keys) = (group.arn.clone(), group.name.clone(), std::mem::take(&mut group.other_keys));
    for key in keys {
        match driver.load_balancer.remove_tag(&arn, &key).await {
            Ok(()) => tracing::info!("removed {key}, an old key of this node's lease, from {name}"),
            Err(error) => {
                let why = format!(
                    "failed to remove {key}, an old key of this node's lease, from {name}: {error}; remove the tag with \
                     `aws elbv2 remove-tags`"
                );
                tracing::warn!("{why}");
                driver.notify(if error.is_denied() { "denied" } else { "failed" }, &why).await;
            }
        }
    }
    Ok(())
}

/// A claim without an answer may take effect after it was released, and would stop the fleet. So the driver waits until it
/// no longer can, and removes it if it has.
async fn remove_late_claim(driver: &mut Driver, index: usize) -> Step {
    while driver.wait_out_tag_writes(index).await? {
        let Some(tags) = driver.group_tags(index).await? else { return Ok(()) };
        let own = Leases::from_tags(&tags).of(&driver.identity.instance_id).map(Reading::takes_slot);
        if own == Some(true) {
            tracing::warn!("an earlier claim of this node took effect late: removing it");
            let leave = mark_left_behind(driver, index);
            driver.clear_lease(index, leave).await?;
        }
    }
    Ok(())
}

/// R3: waits until no unanswered call to leave can take effect any more. True when there was one: it may have taken effect
/// since the node was last seen in service, also while no agent was running.
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
        driver.look_again(left, "until the unanswered DeregisterTargets can no longer take effect").await?;
    }
}

/// A node whose command failed stays marked, so that the roll stops. A node that had failed before stays marked until it
/// succeeds.
fn mark_left_behind(driver: &Driver, index: usize) -> Option<LeaseState> {
    let operation = &driver.operation;
    let failed_now = operation.command == CommandState::Failed;
    let failed_before = operation.groups.get(index).is_some_and(|group| group.failed_before);
    let not_succeeded = operation.verdict() != Verdict::Succeeded;
    (failed_now || (failed_before && not_succeeded)).then_some(LeaseState::Failed)
}
