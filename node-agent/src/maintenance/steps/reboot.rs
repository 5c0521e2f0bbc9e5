//! reboot: request a reboot, and check for a new boot id.

use crate::maintenance::context::{Driver, Step, StepError};
use crate::maintenance::wait::MOST_INTERFERENCES;
use crate::record::{CommandState, RebootAsked, RebootWhen};
use std::time::Duration;

/// If the machine is still up after this long, the driver itself requests the reboot once more: the SSM agent may not have
/// done it, or a person ran `shutdown -c`.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(180);

/// How often to check while waiting for the machine to go down.
const LOOK_EVERY: Duration = Duration::from_secs(5);

pub(super) async fn run(driver: &mut Driver) -> Step {
    let now = driver.now()?;
    match driver.operation.reboot.clone() {
        Some(asked) if !asked.at.same_boot(&now) => {
            tracing::info!("the machine has rebooted: the new boot id is {}", now.boot_id);
            return Ok(());
        }
        Some(asked) => return wait_for_it(driver, asked).await,
        None => (),
    }
    if !wanted(driver).await {
        return Ok(());
    }
    check_before_request(driver).await?;
    // Read the clock again: the check above may have taken minutes.
    let asked = RebootAsked { at: driver.now()?, times: 1, next_boot: None };
    driver.operation.reboot = Some(asked.clone());
    driver.save()?;
    match driver.operation.request.under_ssm {
        // The SSM agent reboots the machine and runs the script again. A reboot by the script itself would count as failed.
        true if !driver.stays => return Err(StepError::RebootMe),
        // The client sees this on record and exits with 194.
        true => (),
        false => {
            if let Err(refused) = ask(driver).await {
                // The machine stays up, so the node comes back.
                driver.operation.reboot = None;
                return Err(refused);
            }
        }
    }
    wait_for_it(driver, asked).await
}

/// Right before each request for a reboot: a reboot of a node that is registered would lose requests.
async fn check_before_request(driver: &mut Driver) -> Step {
    let Err(error) = driver.check_still_out().await else { return Ok(()) };
    if driver.operation.interferences <= MOST_INTERFERENCES {
        return Err(error);
    }
    // The machine may still obey an earlier request, but nothing here waits for it any more.
    driver.operation.reboot = None;
    Err(StepError::Failed(format!("not rebooted: {error}")))
}

async fn wanted(driver: &Driver) -> bool {
    match (driver.operation.request.reboot, driver.operation.command) {
        (RebootWhen::Never, CommandState::RebootNeeded) => {
            tracing::warn!(
                "the command requests a reboot (exit code 194), but none was requested: use --reboot=if-required"
            );
            false
        }
        (RebootWhen::Never, _) => false,
        (RebootWhen::Always, _) | (RebootWhen::IfRequired, CommandState::RebootNeeded) => true,
        (RebootWhen::IfRequired, _) => {
            let required = driver.machine.reboot_required().await;
            tracing::info!("the system requires {} reboot", if required { "a" } else { "no" });
            required
        }
    }
}

async fn ask(driver: &Driver) -> Step {
    tracing::info!("rebooting");
    driver.machine.reboot().await.map_err(|error| StepError::Failed(error.to_string()))
}

/// The machine goes down while the driver waits here. The driver after the boot finds a new boot id.
async fn wait_for_it(driver: &mut Driver, mut asked: RebootAsked) -> Step {
    loop {
        let overdue = asked.times == 1 && asked.at.at_least_until(&driver.now()?) >= ASK_AGAIN_AFTER;
        // A slow SSM agent has scheduled its reboot. Another one would make it reboot once more.
        if overdue && driver.machine.shuts_down_soon().is_none() {
            check_before_request(driver).await?;
            tracing::warn!("the machine did not reboot: requesting the reboot once more");
            asked.times += 1;
            driver.operation.reboot = Some(asked.clone());
            driver.save()?;
            ask(driver).await?;
        }
        driver.look_again(LOOK_EVERY, "for the machine to go down").await?;
    }
}
