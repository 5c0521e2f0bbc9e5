//! deregister: validate, put `out` on record, DeregisterTargets with the exact (id, port) pairs, look again.

use super::standby::{self, Leave};
use super::validate::{read, validate};
use crate::driver::{Driver, Step, StepError};
use tokio::time::Instant;

/// Reads that took too long are made again this often. An API that is slower than that all the time is gone by all the
/// same: their age counts only where somebody else has removed our lease (docs/lease.md).
const MOST_VALIDATIONS: u32 = 3;

pub(super) async fn run(driver: &mut Driver) -> Step {
    read_attributes(driver).await?;
    // Others may have been moved to standby while we waited for our turn.
    if !driver.operation.out
        && driver.operation.standby.is_some()
        && let Some(why) = standby::may_begin(driver).await?
    {
        return Err(StepError::Blocked(why));
    }
    let began = validated(driver).await?;
    leave(driver, began).await?;
    // A node that claimed or failed while our call was on its way shows up once everything has settled.
    let settle = driver.operation.request.settings.settle.0;
    driver.look_again(settle, "the deregistration to settle").await?;
    look_again(driver).await
}

async fn leave(driver: &mut Driver, mut began: Instant) -> Step {
    let longest = driver.operation.request.settings.validation.0;
    let (mut failures, mut slow) = (0, 0);
    loop {
        match standby::how(driver).await? {
            Leave::ByOurselves => return send_all(driver, began).await,
            Leave::AlreadySo => break,
            Leave::Enter if began.elapsed() > longest && slow < MOST_VALIDATIONS => {
                began = validated_again(driver, 0).await?;
                slow += 1;
            }
            Leave::Enter if standby::enter(driver, failures).await? => break,
            Leave::Enter => failures += 1,
        }
    }
    standby::taken_out(driver).await
}

/// The others must still be enough. This limits damage; the lease is what prevents it.
async fn look_again(driver: &mut Driver) -> Step {
    if driver.operation.forced {
        return Ok(());
    }
    for index in 0..driver.operation.groups.len() {
        let Some(reading) = read(driver, index).await? else { continue };
        let Some(group) = driver.operation.groups.get(index) else { continue };
        let settings = &driver.operation.request.settings;
        if let Err(why) = reading.enough_left(&driver.identity, group.target_type, settings) {
            return Err(StepError::Failed(format!(
                "turning back at once: in target group {}, {why}",
                group.name
            )));
        }
    }
    Ok(())
}

/// What changes seldom is read before the reads that have to be fresh: hours may have passed in the queue.
async fn read_attributes(driver: &mut Driver) -> Step {
    for index in 0..driver.operation.groups.len() {
        let attributes = driver.ask_group(index, async |lb, arn| lb.attributes(arn).await).await?;
        if let Some((group, attributes)) = driver.operation.live_group(index).zip(attributes) {
            group.attributes = attributes;
        }
    }
    Ok(())
}

/// Validates, and puts `out` on record when it holds. Returns when the reads began.
async fn validated(driver: &mut Driver) -> Step<Instant> {
    let began = Instant::now();
    let was_out = driver.operation.out;
    if let Err(error) = validate(driver).await {
        return Err(match error {
            // Out already: the only way from here is back.
            StepError::Blocked(why) if was_out => StepError::Failed(why),
            error => error,
        });
    }
    if !was_out {
        // The last moment at which it can be let be. The time for leaving counts from here, whatever went before.
        driver.still_wanted()?;
        driver.operation.phase_began = driver.now()?;
    }
    driver.operation.out = true;
    driver.operation.was_out = true;
    driver.save()?;
    // These reads have shown our leases.
    driver.lease_seen = began;
    Ok(began)
}

async fn send_all(driver: &mut Driver, mut began: Instant) -> Step {
    let longest = driver.operation.request.settings.validation.0;
    for index in 0..driver.operation.groups.len() {
        let mut failures = 0;
        loop {
            for _ in 0..MOST_VALIDATIONS {
                if began.elapsed() <= longest {
                    break;
                }
                began = validated_again(driver, index).await?;
            }
            let Some((arn, pairs)) = unsent(driver, index)? else { break };
            let answer = driver.load_balancer.clone().deregister(&arn, &pairs).await;
            let now = driver.now()?;
            let Some(group) = driver.operation.groups.get_mut(index) else { break };
            let error = match answer {
                Ok(()) => {
                    group.unresolved_deregisters.pop();
                    group.deregistered = Some(now);
                    driver.save()?;
                    break;
                }
                Err(error) => error,
            };
            if !error.may_have_been_applied() {
                group.unresolved_deregisters.pop();
                driver.save()?;
            }
            if error.is_group_gone() {
                driver.group_is_gone(index)?;
                break;
            }
            if error.is_final() {
                return Err(StepError::Failed(format!("{error}; {}", error.advice())));
            }
            driver.back_off(&error, failures).await?;
            failures += 1;
        }
    }
    Ok(())
}

/// Too much time has passed since the reads. If nothing was sent yet, being out can be taken back.
async fn validated_again(driver: &mut Driver, index: usize) -> Step<Instant> {
    let groups = &driver.operation.groups;
    let untouched =
        index == 0 && groups.iter().all(|g| g.deregistered.is_none() && g.unresolved_deregisters.is_empty());
    if untouched {
        driver.operation.out = false;
        driver.operation.was_out = false;
        driver.save()?;
    }
    validated(driver).await
}

/// The call to make, on record as sent before it is; `None` for a group that is gone.
fn unsent(driver: &mut Driver, index: usize) -> Step<Option<(String, Vec<crate::target_group::Target>)>> {
    let now = driver.now()?;
    let Some(group) = driver.operation.groups.get_mut(index).filter(|group| !group.gone) else {
        return Ok(None);
    };
    group.unresolved_deregisters.push(now);
    let call = (group.arn.clone(), group.pairs.clone());
    driver.save()?;
    Ok(Some(call))
}
