//! check_health: wait until the service passes several local checks in a row, before it is registered.

use crate::aws::target_group::health_url;
use crate::aws::target_group::matches_status;
use crate::maintenance::context::{Driver, Step, StepError};
use crate::settings::OnUnhealthy;
use std::time::Duration;

pub(super) async fn run(driver: &mut Driver) -> Step {
    let settings = driver.operation.request.settings.clone();
    let mut in_a_row = 0;
    loop {
        let why = match probe(driver).await {
            Ok(()) => {
                in_a_row += 1;
                if in_a_row >= settings.health_passes {
                    return Ok(());
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

/// Checks each of our targets once, as the load balancer does.
async fn probe(driver: &Driver) -> Result<(), String> {
    let settings = &driver.operation.request.settings;
    for group in driver.operation.live_groups() {
        let check = &group.health_check;
        for pair in &group.pairs {
            let own = || health_url(check, settings.service_address, pair.port);
            let url = settings.health_url.clone().unwrap_or_else(own);
            let timeout = check.timeout.max(Duration::from_secs(1));
            match driver.service.probe(&url, timeout).await {
                Ok(status) if matches_status(&check.matcher, status) => (),
                Ok(status) => return Err(format!("{url} answered {status}, not {}", check.matcher)),
                Err(error) => return Err(format!("{url}: {error}")),
            }
        }
    }
    Ok(())
}
