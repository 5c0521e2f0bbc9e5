//! acquire_lease: a slot on every target group, in the order of their ARNs (docs/lease.md, steps 1, 4 and 5).

use crate::driver::{Driver, Step, StepError};
use crate::lease::{Claim, Leases, Slot};
use crate::policy::Policy;
use rand::RngExt;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// A lease on one group is held this long while waiting for the next, then given back: nodes whose groups
/// overlap in another order would wait for each other for ever.
const HOLD_WHILE_WAITING: Duration = Duration::from_secs(120);

pub(super) async fn run(driver: &mut Driver) -> Step {
    let mut stepped_down = 0;
    'all: loop {
        for index in 0..driver.operation.groups.len() {
            let began = Instant::now();
            loop {
                let by = match try_claim(driver, index).await? {
                    Attempt::Held => break,
                    Attempt::SteppedDown => {
                        let pause = back_off(driver, stepped_down);
                        stepped_down += 1;
                        driver.look_again(pause, "a free slot: others wanted it at the same time").await?;
                        continue;
                    }
                    Attempt::Taken(by) => by,
                };
                if index > 0 && began.elapsed() > HOLD_WHILE_WAITING {
                    driver.give_back_all().await?;
                    let pause = driver.lease_poll();
                    driver.look_again(pause, "slots in all our target groups").await?;
                    continue 'all;
                }
                let pause = driver.lease_poll();
                driver.look_again(pause, &format!("a free slot: held by {by}")).await?;
            }
        }
        return Ok(());
    }
}

enum Attempt {
    Held,
    Taken(String),
    SteppedDown,
}

async fn try_claim(driver: &mut Driver, index: usize) -> Step<Attempt> {
    let me = driver.identity.instance_id.clone();
    let Some(tags) = driver.group_tags(index).await? else { return Ok(Attempt::Held) };
    let (leases, policy) = read(&tags)?;
    leases.may_start(&me, &policy).map_err(|stopped| StepError::Failed(stopped.to_string()))?;
    if let Slot::Taken(by) = leases.slot(&me, &policy) {
        return Ok(Attempt::Taken(by));
    }
    let slots = leases.slots(&me, &policy);
    let epoch = driver.claim_slot(index, slots).await?;
    driver.save()?;
    // Others that claimed meanwhile must see us before we look for them.
    let settle = driver.operation.request.settings.settle.0;
    driver.look_again(settle, "our claim to settle").await?;

    let Some(tags) = driver.group_tags(index).await? else { return Ok(Attempt::Held) };
    let (leases, policy) = read(&tags)?;
    match leases.confirm(&me, &epoch, &policy) {
        Claim::Confirmed => Ok(Attempt::Held),
        Claim::Broken => Err(StepError::Failed("an operator broke our lease".to_owned())),
        Claim::StepDown(by) => {
            tracing::info!("stepping down: the slot was also claimed by {by}");
            step_down(driver, index).await
        }
        Claim::NotVisible => {
            tracing::warn!("our claim is not there any more: somebody else wrote or removed our tag");
            step_down(driver, index).await
        }
    }
}

async fn step_down(driver: &mut Driver, index: usize) -> Step<Attempt> {
    driver.give_back(index, None).await.map_err(StepError::Drive)?;
    Ok(Attempt::SteppedDown)
}

fn read(tags: &BTreeMap<String, String>) -> Step<(Leases, Policy)> {
    let policy = Policy::from_tags(tags).map_err(|error| StepError::Misconfigured(error.to_string()))?;
    Ok((Leases::from_tags(tags), policy))
}

/// Random, below twice the settle time, doubling: those that collided come back one by one.
fn back_off(driver: &mut Driver, times: u32) -> Duration {
    let settle = driver.operation.request.settings.settle.0;
    (settle * 2).saturating_mul(1 << times.min(6)).mul_f64(driver.random.random_range(0.0..=1.0))
}
