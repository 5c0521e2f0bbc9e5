//! deregister: DeregisterTargets with the exact (id, port) pairs, or EnterStandby; then one more look at the groups.

use super::standby::{self, Leave};
use super::validate::{groups_let_us_go, read};
use crate::maintenance::context::{Driver, Step, StepError};

/// Reads that took too long are made again this often. An API that is slower than that all the time is gone by all the
/// same: their age counts only where somebody else has removed our lease (docs/lease.md).
const MOST_VALIDATIONS: u32 = 3;

pub(super) async fn run(driver: &mut Driver) -> Step {
    if driver.validated.is_none() {
        // A new process, or a node that somebody has registered again: the reads of its first leaving are too old.
        validate_again(driver).await?;
    }
    leave(driver).await?;
    // A node that claimed or failed while our call was on its way shows up once everything has settled.
    let settle = driver.operation.request.settings.settle.0;
    driver.look_again(settle, "the deregistration to settle").await?;
    // Whatever comes next, it is not these reads that it goes by.
    driver.validated = None;
    enough_left(driver).await
}

async fn leave(driver: &mut Driver) -> Step {
    let mut failures = 0;
    loop {
        match standby::how(driver).await? {
            Leave::ByOurselves => return send_all(driver).await,
            Leave::AlreadySo => break,
            Leave::Enter => {
                fresh_reads(driver).await?;
                if standby::enter(driver, failures).await? {
                    break;
                }
                failures += 1;
            }
        }
    }
    standby::taken_out(driver).await
}

/// The others must still be enough. This limits damage; the lease is what prevents it.
async fn enough_left(driver: &mut Driver) -> Step {
    if driver.operation.forced {
        return Ok(());
    }
    for index in 0..driver.operation.groups.len() {
        let Some(reading) = read(driver, index).await? else { continue };
        let Some(group) = driver.operation.groups.get(index) else { continue };
        let settings = &driver.operation.request.settings;
        if let Err(why) = reading.enough_left(driver.identity.own_ids(group.target_type), settings) {
            return Err(StepError::Failed(format!(
                "turning back at once: in target group {}, {why}",
                group.name
            )));
        }
    }
    Ok(())
}

/// Right before a call that takes this node out: the reads that allow it are young enough, or are made again.
///
/// # Errors
/// [`StepError::Blocked`] to have them made again while nothing was sent; the only way from here is back when they say
/// no afterwards.
async fn fresh_reads(driver: &mut Driver) -> Step {
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
async fn validate_again(driver: &mut Driver) -> Step {
    groups_let_us_go(driver).await.map_err(|error| match error {
        StepError::Blocked(why) => StepError::Failed(why),
        error => error,
    })
}

async fn send_all(driver: &mut Driver) -> Step {
    for index in 0..driver.operation.groups.len() {
        let mut failures = 0;
        loop {
            fresh_reads(driver).await?;
            let now = driver.now()?;
            let Some(group) = driver.operation.live_group(index) else { break };
            let (arn, pairs) = (group.arn.clone(), group.pairs.clone());
            let call = group.deregisters_in_doubt.begin(now);
            driver.save()?;
            let answer = driver.load_balancer.clone().deregister(&arn, &pairs).await;
            let now = driver.now()?;
            let Some(group) = driver.operation.groups.get_mut(index) else { break };
            let error = match answer {
                Ok(()) => {
                    group.deregisters_in_doubt.resolve(call);
                    group.deregistered = Some(now);
                    driver.save()?;
                    break;
                }
                Err(error) => error,
            };
            if !error.may_have_been_applied() {
                group.deregisters_in_doubt.resolve(call);
                driver.save()?;
            }
            if error.is_group_gone() {
                driver.group_is_gone(index)?;
                break;
            }
            if error.is_final() {
                let why = format!("{error}; {}", error.advice());
                let out = driver.operation.has_sent();
                return Err(if out { StepError::Failed(why) } else { StepError::Misconfigured(why) });
            }
            driver.back_off(&error, failures).await?;
            failures += 1;
        }
    }
    Ok(())
}
