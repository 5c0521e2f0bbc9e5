//! check_health: wait until the service passes several local checks in a row, before it is registered.
//!
//! The service may have moved: targets that somebody registered while the node was out are checked, too. Where there are
//! such, an old target that does not answer is dropped instead of waited for.

use crate::aws::target_group::{Target, health_url, matches_status};
use crate::maintenance::context::{Driver, Step, StepError};
use crate::settings::OnUnhealthy;
use std::time::Duration;

pub(super) async fn run(driver: &mut Driver) -> Step {
    let settings = driver.operation.request.settings.clone();
    driver.join_registered_meanwhile().await?;
    let mut in_a_row = 0;
    loop {
        let why = match probe(driver).await {
            Ok(without_answer) => {
                in_a_row += 1;
                if in_a_row >= settings.health_passes {
                    return drop_old(driver, &without_answer);
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
                return Ok(());
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

/// Checks each of our targets once, as the load balancer does. Returns the old targets that did not answer in groups with
/// newer ones.
async fn probe(driver: &Driver) -> Result<Vec<Target>, String> {
    let settings = &driver.operation.request.settings;
    let mut without_answer = Vec::new();
    for group in driver.operation.live_groups() {
        let check = &group.health_check;
        for pair in &group.pairs {
            let own = || health_url(check, settings.service_address, pair.port);
            let url = settings.health_url.clone().unwrap_or_else(own);
            let timeout = check.timeout.max(Duration::from_secs(1));
            match driver.service.probe(&url, timeout).await {
                Ok(status) if matches_status(&check.matcher, status) => (),
                Ok(status) => return Err(format!("{url} answered {status}, not {}", check.matcher)),
                Err(_) if group.is_older_than_others(pair) => without_answer.push(pair.clone()),
                Err(error) => return Err(format!("{url}: {error}")),
            }
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
