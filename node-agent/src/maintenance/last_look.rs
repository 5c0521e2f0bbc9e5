//! The last look before leaving: every group, read as close to the call as can be (docs/lease.md).

use crate::aws::target_group::{Target, TargetState, own};
use crate::lease::Claim;
use crate::lease::snapshot::{GroupSnapshot, Refusal};
use crate::maintenance::context::{Driver, Step, StepError, Validated};
use crate::maintenance::read_group;
use crate::record::phase::Stage;
use std::collections::BTreeSet;
use tokio::time::Instant;

/// Reads that took too long are made again this often. An API that is slower than that all the time is gone by all the
/// same: their age counts only where somebody else has removed our lease (docs/lease.md).
const MOST_VALIDATIONS: u32 = 3;

/// Our lease stands in every group, and every group can spare us. Notes when the reads began.
///
/// # Errors
/// [`StepError::Blocked`] when it cannot now, [`StepError::Failed`] when maintenance has been stopped.
pub(crate) async fn validate_groups(driver: &mut Driver) -> Step {
    let began = Instant::now();
    if !driver.operation.forced {
        for index in 0..driver.operation.groups.len() {
            let Some(reading) = read(driver, index).await? else { continue };
            check_claim(driver, index, &reading)?;
            check_capacity(driver, index, &reading)?;
        }
    }
    let times = driver.validated.map_or(0, |validated| validated.times) + 1;
    driver.validated = Some(Validated { began, times });
    // These reads have shown our leases.
    driver.lease_seen = began;
    Ok(())
}

/// One group's tags and health, with the attributes on record; `None`: the group is gone.
pub(crate) async fn read(driver: &mut Driver, index: usize) -> Step<Option<GroupSnapshot>> {
    let Some(group) = driver.operation.live_group(index) else { return Ok(None) };
    let attributes = group.attributes.clone();
    driver.ask_group(index, async |lb, arn| read_group::read_with(lb, arn, attributes.clone()).await).await
}

fn check_claim(driver: &Driver, index: usize, reading: &GroupSnapshot) -> Step {
    let Some(group) = driver.operation.groups.get(index) else { return Ok(()) };
    let policy = reading.policy.clone().map_err(|bad| refused(&group.name, &Refusal::Policy(bad)))?;
    let nonce = group.claim.as_ref().map(|claim| claim.nonce.as_str()).unwrap_or_default();
    let name = &group.name;
    match reading.leases.confirm(&driver.identity.instance_id, nonce, &policy) {
        Claim::Confirmed => Ok(()),
        Claim::Broken => Err(StepError::Failed(format!("an operator broke our lease on {name}"))),
        Claim::NotVisible => {
            Err(StepError::Blocked(format!("our lease on {name} is gone: somebody removed the tag")))
        }
        Claim::StepDown(by) => Err(StepError::Blocked(format!("{name} has more holders than slots: {by}"))),
    }
}

fn check_capacity(driver: &Driver, index: usize, reading: &GroupSnapshot) -> Step {
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

/// Right before a call that takes this node out: the reads that allow it are young enough, or are made again.
///
/// # Errors
/// [`StepError::Blocked`] to have them made again while nothing was sent; the only way from here is back when they say
/// no afterwards.
pub(crate) async fn fresh_reads(driver: &mut Driver) -> Step {
    let longest = driver.operation.request.settings.validation.0;
    for _ in 0..MOST_VALIDATIONS {
        let Some(validated) = driver.validated else { return validate_again(driver).await };
        if driver.operation.forced || validated.began.elapsed() <= longest {
            return Ok(());
        }
        if !driver.operation.has_sent() {
            if validated.times > MOST_VALIDATIONS {
                return Ok(());
            }
            let age = validated.began.elapsed().as_secs_f64();
            return Err(StepError::Blocked(format!("the reads that allow leaving are {age:.1} s old")));
        }
        validate_again(driver).await?;
    }
    Ok(())
}

/// Once out, the only way from here is back.
pub(crate) async fn validate_again(driver: &mut Driver) -> Step {
    validate_groups(driver).await.map_err(|error| match error {
        StepError::Blocked(why) => StepError::Failed(why),
        error => error,
    })
}

/// The states of our own pairs in one group. `None`: the group is gone.
pub(crate) async fn own_states(driver: &mut Driver, index: usize) -> Step<Option<Vec<TargetState>>> {
    let Some(group) = driver.operation.live_group(index) else { return Ok(None) };
    let pairs = group.pairs.clone();
    driver.ask_group(index, async |lb, arn| lb.target_health_of(arn, &pairs).await).await
}

/// A refusal that time alone does not lift.
pub(crate) fn refused(group: &str, refusal: &Refusal) -> StepError {
    let why = format!("in target group {group}, {refusal}");
    match refusal {
        Refusal::NotNow(_) => StepError::Blocked(why),
        Refusal::Stopped(_) => StepError::Failed(why),
        Refusal::Policy(_) => StepError::Misconfigured(why),
    }
}
