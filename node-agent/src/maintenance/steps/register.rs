//! register: RegisterTargets with the pairs on record, or ExitStandby.

use super::drain::own_states;
use super::standby;
use crate::aws::target_group::{TargetHealth, TargetType};
use crate::maintenance::context::{Driver, Step, StepError};

pub(super) async fn run(driver: &mut Driver) -> Step {
    if !standby::exit(driver).await? || !standby::registered(driver).await? {
        for index in 0..driver.operation.groups.len() {
            register(driver, index).await?;
        }
    }
    if driver.operation.live_groups().next().is_none() {
        let reason = "all our target groups have been deleted; register this node in its new one by hand";
        driver.fail(driver.operation.phase, reason, false);
    }
    Ok(())
}

async fn register(driver: &mut Driver, index: usize) -> Step {
    let Some(group) = driver.operation.groups.get(index).filter(|group| !group.gone) else { return Ok(()) };
    let (arn, pairs, kind) = (group.arn.clone(), group.pairs.clone(), group.target_type);
    if kind == TargetType::Ip {
        wait_until_drained(driver, index).await?;
    }
    let mut failures = 0;
    loop {
        // Registering what is registered already changes nothing, so there is no need to look first.
        let now = driver.now()?;
        let call = driver.journal.record.calls_in_doubt.begin(now);
        driver.save()?;
        let answer = driver.load_balancer.clone().register(&arn, &pairs).await;
        if answer.as_ref().err().is_none_or(|error| !error.may_have_been_applied()) {
            // The next write of the record takes it off.
            driver.journal.record.calls_in_doubt.resolve(call);
        }
        let error = match answer {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if error.is_group_gone() {
            driver.group_is_gone(index)?;
            return Ok(());
        }
        // Nothing is final here: the node is out, and the only way into service is this call.
        driver.back_off(&error, failures).await.map_err(|ended| match ended {
            StepError::Failed(_) => {
                StepError::Failed(format!("{error}; {}; then run `node-agent resume`", error.advice()))
            }
            other => other,
        })?;
        failures += 1;
    }
}

/// An address that drains cannot be registered before the delay is over.
async fn wait_until_drained(driver: &mut Driver, index: usize) -> Step {
    while let Some(states) = own_states(driver, index).await? {
        let Some(draining) = states.iter().find(|state| state.health == TargetHealth::Draining) else {
            break;
        };
        let what =
            format!("the deregistration delay of {} before it can be registered again", draining.target);
        let pause = driver.health_poll();
        driver.look_again(pause, &what).await?;
    }
    Ok(())
}
