//! check_health: wait until the service passes several local checks in a row, before it is registered.
//!
//! The service may have moved: targets that somebody registered while the node was out are checked, too. Where there are
//! such, an old target that does not answer is dropped instead of waited for.

use crate::aws::target_group::Target;
use crate::maintenance::context::{Driver, Step, StepError};
use crate::maintenance::local_check::{OwnTargets, check_targets};
use crate::settings::OnUnhealthy;
use std::time::Duration;

/// The longest wait for a scheduled shutdown: one that is five minutes away, and the minute in which it must begin.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 60);
/// How often to look whether it was cancelled.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(driver: &mut Driver) -> Step {
    let settings = driver.operation.request.settings.clone();
    // What was registered meanwhile joins. Without an answer, the node comes back with what is on record.
    driver.glance_at_registrations().await?;
    let mut in_a_row = 0;
    loop {
        let why = match probe(driver).await {
            Ok(without_answer) => {
                in_a_row += 1;
                if in_a_row >= settings.health_passes {
                    drop_old(driver, &without_answer)?;
                    return outlast_scheduled_shutdown(driver).await;
                }
                format!(
                    "for the service to pass {} checks in a row ({in_a_row} so far)",
                    settings.health_passes
                )
            }
            Err(why) => {
                in_a_row = 0;
                format!("for the service to become healthy: {why}")
            }
        };
        match driver.look_again(settings.health_interval.0, &why).await {
            Err(error @ StepError::Failed(_)) if settings.on_unhealthy == OnUnhealthy::Register => {
                tracing::warn!("{error}; registering it unhealthy (--on-unhealthy register)");
                driver.fail(driver.operation.phase, &error);
                return outlast_scheduled_shutdown(driver).await;
            }
            Err(StepError::Failed(error)) => {
                return Err(StepError::Failed(format!(
                    "{error}; repair the service, then run `node-agent resume` to check it again and bring the node back"
                )));
            }
            other => other?,
        }
    }
}

/// Waits while the machine is about to go down: an SSM agent that was stopped when the maintenance asked for its reboot
/// makes it once it is started again. Ends when the schedule is gone, or after a while: a node does not stay out because
/// somebody keeps scheduling reboots.
async fn outlast_scheduled_shutdown(driver: &mut Driver) -> Step {
    let began = driver.now()?;
    while let Some(at) = driver.machine.shuts_down_soon() {
        if began.at_least_until(&driver.now()?) >= LONGEST_WAIT {
            tracing::warn!(
                "a shutdown was scheduled for {at:.0}, and the machine is still up: returning to service"
            );
            break;
        }
        driver.prove(LOOK_EVERY, &format!("for the shutdown scheduled for {at:.0}")).await?;
    }
    Ok(())
}

/// Checks each of our targets once. Returns the old targets that did not answer in groups with newer ones.
async fn probe(driver: &Driver) -> Result<Vec<Target>, String> {
    let settings = &driver.operation.request.settings;
    let mut without_answer = Vec::new();
    for group in driver.operation.live_groups() {
        let own = OwnTargets { check: &group.health_check, pairs: &group.pairs, address: group.address };
        for not_passed in check_targets(&*driver.service, own, settings).await {
            if !(not_passed.without_answer && group.is_older_than_others(&not_passed.target)) {
                return Err(not_passed.to_string());
            }
            without_answer.push(not_passed.target);
        }
    }
    Ok(without_answer)
}

/// Continues without the old targets that did not answer.
fn drop_old(driver: &mut Driver, without_answer: &[Target]) -> Step {
    if without_answer.is_empty() {
        return Ok(());
    }
    for group in driver.operation.groups.iter_mut().filter(|group| !group.gone) {
        let old: Vec<_> = without_answer.iter().filter(|pair| group.is_older_than_others(pair)).collect();
        for target in group.forget(|pair| old.contains(&pair)) {
            tracing::warn!(
                "{target} in {} does not answer, and another target of this node was registered meanwhile: continuing \
                 without it",
                group.name
            );
        }
    }
    Ok(driver.save()?)
}
