//! The last reads before leaving: every group, as close to the call as possible (docs/lease.md).

use crate::aws::target_group::{Target, TargetState};
use crate::lease::Claim;
use crate::lease::snapshot::{GroupSnapshot, Refusal};
use crate::maintenance::context::{Driver, Step, StepError, Validated};
use crate::maintenance::read_group;
use crate::record::Group;
use crate::record::phase::Stage;
use std::collections::BTreeSet;
use tokio::time::Instant;

/// How many times reads that took too long are repeated. If the API is always that slow, the node leaves with old reads:
/// their age only matters when something else has removed our lease (docs/lease.md).
const MOST_VALIDATIONS: u32 = 3;

/// Checks that our lease is confirmed in every group and that every group can spare us. Notes when the reads began.
///
/// # Errors
/// [`StepError::Blocked`] when a group cannot spare us now, [`StepError::Failed`] when maintenance is stopped.
pub(crate) async fn validate_groups(driver: &mut Driver) -> Step {
    let began = Instant::now();
    if !driver.operation.forced {
        for index in 0..driver.operation.groups.len() {
            let Some((group, reading)) = read(driver, index).await? else { continue };
            check_claim(driver, &group, &reading)?;
            check_capacity(driver, &group, &reading)?;
        }
    }
    let times = driver.validated.map_or(0, |validated| validated.times) + 1;
    driver.validated = Some(Validated { began, times });
    // These reads have checked our leases, too.
    driver.lease_seen = began;
    Ok(())
}

/// One group, and its tags and health as read now, with the attributes on record; `None`: the group is gone.
pub(crate) async fn read(driver: &mut Driver, index: usize) -> Step<Option<(Group, GroupSnapshot)>> {
    let Some(group) = driver.operation.live_group(index).cloned() else { return Ok(None) };
    let read = async |lb: &_, arn: &_| read_group::read_with(lb, arn, group.attributes.clone()).await;
    let reading = driver.ask_group(index, read).await?;
    Ok(reading.map(|reading| (group, reading)))
}

fn check_claim(driver: &Driver, group: &Group, reading: &GroupSnapshot) -> Step {
    let policy = reading.policy.clone().map_err(|bad| refused(&group.name, &Refusal::Policy(bad)))?;
    let nonce = group.claim.as_ref().map(|claim| claim.nonce.as_str()).unwrap_or_default();
    let name = &group.name;
    match reading.leases.confirm(&driver.identity.instance_id, nonce, &policy) {
        Claim::Confirmed => Ok(()),
        Claim::Broken => Err(StepError::Failed(format!("an operator broke our lease on {name}"))),
        Claim::NotVisible => {
            Err(StepError::Blocked(format!("our lease on {name} is gone: its tag was removed")))
        }
        Claim::StepDown(by) => Err(StepError::Blocked(format!("{name} has more holders than slots: {by}"))),
    }
}

fn check_capacity(driver: &Driver, group: &Group, reading: &GroupSnapshot) -> Step {
    let (us, settings) = (driver.identity.own_ids(group.target_type), &driver.operation.request.settings);
    let refused = |refusal| refused(&group.name, &refusal);
    reading.may_leave(us, settings).map_err(refused)?;
    if driver.operation.phase.stage() != Stage::InService {
        return Ok(());
    }
    reading.may_begin(us, settings).map_err(refused)?;
    let now: BTreeSet<&Target> = us.registered(&reading.targets).map(|state| &state.target).collect();
    if now != group.pairs.iter().collect() {
        return Err(StepError::Blocked(format!("our registrations in {} have changed", group.name)));
    }
    Ok(())
}

/// Right before a call that takes this node out: checks that the reads that permit it are recent enough, or repeats them.
///
/// # Errors
/// [`StepError::Blocked`] when they have to be repeated and nothing was sent yet. Once something was sent, a refusal is
/// [`StepError::Failed`]. [`StepError::Cancelled`] when no client waits any more, or when the window is over: then no
/// further call takes the node out, however far it had come.
pub(crate) async fn fresh_reads(driver: &mut Driver) -> Step {
    if !driver.operation.forced {
        driver.may_still_leave()?;
    }
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
            return Err(StepError::Blocked(format!("the reads that permit leaving are {age:.1} s old")));
        }
        validate_again(driver).await?;
    }
    Ok(())
}

/// Validates again where blocked means failed: the node has to turn back.
pub(crate) async fn validate_again(driver: &mut Driver) -> Step {
    validate_groups(driver).await.map_err(|error| match error {
        StepError::Blocked(why) => StepError::Failed(why),
        error => error,
    })
}

/// The states of our own targets in one group. `None`: the group is gone.
pub(crate) async fn own_states(driver: &mut Driver, index: usize) -> Step<Option<Vec<TargetState>>> {
    let Some(group) = driver.operation.live_group(index) else { return Ok(None) };
    let pairs = group.pairs.clone();
    if pairs.is_empty() {
        // To ask for no targets is to ask for all.
        return Ok(Some(Vec::new()));
    }
    driver.ask_group(index, async |lb, arn| lb.target_health_of(arn, &pairs).await).await
}

/// A refusal as the outcome of a step.
pub(crate) fn refused(group: &str, refusal: &Refusal) -> StepError {
    let why = format!("in target group {group}, {refusal}");
    match refusal {
        Refusal::NotNow(_) => StepError::Blocked(why),
        Refusal::Stopped(_) => StepError::Failed(why),
        Refusal::Policy(_) | Refusal::Misconfigured(_) | Refusal::Controlled(_) => {
            StepError::Misconfigured(why)
        }
    }
}
