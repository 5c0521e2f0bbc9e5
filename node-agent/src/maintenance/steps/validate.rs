//! validate: everything that decides, read once more, as close to leaving as can be (docs/lease.md).

use super::check_group::refused;
use super::standby;
use crate::aws::target_group::{Target, own};
use crate::lease::Claim;
use crate::lease::snapshot::{GroupSnapshot, Refusal};
use crate::maintenance::context::{Driver, Step, StepError, Validated};
use crate::maintenance::read_group;
use crate::record::phase::Stage;
use std::collections::BTreeSet;
use tokio::time::Instant;

pub(super) async fn run(driver: &mut Driver) -> Step {
    // What changes seldom comes before the reads that have to be fresh: hours may have passed in the queue.
    read_attributes(driver).await?;
    // Others may have been moved to standby while we waited for our turn.
    if driver.operation.standby.is_some()
        && let Some(why) = standby::may_begin(driver).await?
    {
        return Err(StepError::Blocked(why));
    }
    groups_let_us_go(driver).await?;
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

/// Our lease stands in every group, and every group can spare us. Notes when the reads began.
///
/// # Errors
/// [`StepError::Blocked`] when it cannot now, [`StepError::Failed`] when maintenance has been stopped.
pub(super) async fn groups_let_us_go(driver: &mut Driver) -> Step {
    let began = Instant::now();
    if !driver.operation.forced {
        for index in 0..driver.operation.groups.len() {
            let Some(reading) = read(driver, index).await? else { continue };
            lease_stands(driver, index, &reading)?;
            group_spares_us(driver, index, &reading)?;
        }
    }
    let times = driver.validated.map_or(0, |validated| validated.times) + 1;
    driver.validated = Some(Validated { began, times });
    // These reads have shown our leases.
    driver.lease_seen = began;
    Ok(())
}

/// One group's tags and health, with the attributes on record; `None`: the group is gone.
pub(super) async fn read(driver: &mut Driver, index: usize) -> Step<Option<GroupSnapshot>> {
    let Some(group) = driver.operation.live_group(index) else { return Ok(None) };
    let attributes = group.attributes.clone();
    driver.ask_group(index, async |lb, arn| read_group::read_with(lb, arn, attributes.clone()).await).await
}

fn lease_stands(driver: &Driver, index: usize, reading: &GroupSnapshot) -> Step {
    let Some(group) = driver.operation.groups.get(index) else { return Ok(()) };
    let policy = reading.policy.clone().map_err(|bad| refused(&group.name, &Refusal::Policy(bad)))?;
    let epoch = group.claim.as_ref().map(|claim| claim.epoch.as_str()).unwrap_or_default();
    let name = &group.name;
    match reading.leases.confirm(&driver.identity.instance_id, epoch, &policy) {
        Claim::Confirmed => Ok(()),
        Claim::Broken => Err(StepError::Failed(format!("an operator broke our lease on {name}"))),
        Claim::NotVisible => {
            Err(StepError::Blocked(format!("our lease on {name} is gone: somebody removed the tag")))
        }
        Claim::StepDown(by) => Err(StepError::Blocked(format!("{name} has more holders than slots: {by}"))),
    }
}

fn group_spares_us(driver: &Driver, index: usize, reading: &GroupSnapshot) -> Step {
    let Some(group) = driver.operation.groups.get(index) else { return Ok(()) };
    let (us, settings) = (driver.identity.own_ids(group.target_type), &driver.operation.request.settings);
    let refused = |refusal| refused(&group.name, &refusal);
    reading.may_leave(us, settings).map_err(refused)?;
    if driver.operation.phase.stage() != Stage::InService {
        return Ok(());
    }
    reading.may_begin(us, settings).map_err(refused)?;
    let now: BTreeSet<&Target> = own(us.target, &reading.targets).map(|state| &state.target).collect();
    if now != group.pairs.iter().collect() {
        return Err(StepError::Blocked(format!("our registrations in {} have changed", group.name)));
    }
    Ok(())
}
