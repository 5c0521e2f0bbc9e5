//! check_health: the service answers locally, several times in a row, before the load balancer may send anybody here.

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
                format!("the service to pass its check {} times ({in_a_row} so far)", settings.health_passes)
            }
            Err(why) => {
                in_a_row = 0;
                format!("the service to get healthy: {why}")
            }
        };
        match driver.look_again(settings.health_interval.0, &why).await {
            Err(error @ StepError::Failed(_)) if settings.on_unhealthy == OnUnhealthy::Register => {
                tracing::warn!("{error}; registering all the same, as --on-unhealthy register says");
                driver.fail(driver.operation.phase, &error);
                return Ok(());
            }
            Err(StepError::Failed(error)) => {
                return Err(StepError::Failed(format!(
                    "{error}; repair the service, then run `node-agent resume`: it checks again and brings the node back"
                )));
            }
            other => other?,
        }
    }
}

/// One check of every own pair, as the load balancer would make it.
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
