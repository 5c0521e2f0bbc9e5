//! reboot: asked for once, proved by a new boot id.

use super::drain::still_out;
use crate::maintenance::context::{Driver, Step, StepError};
use crate::maintenance::wait::MOST_INTERFERENCES;
use crate::record::{CommandState, RebootAsked, RebootWhen};
use std::time::Duration;

/// A reboot that was asked for and has not begun after this long is asked for once more, by the driver itself: the
/// asker may have been killed, or somebody ran `shutdown -c`.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(180);

/// How often to look while waiting for the machine to go down.
const LOOK_EVERY: Duration = Duration::from_secs(5);

pub(super) async fn run(driver: &mut Driver) -> Step {
    let now = driver.now()?;
    match driver.operation.reboot.clone() {
        Some(asked) if !asked.at.same_boot(&now) => {
            tracing::info!("the machine has rebooted: the boot id is {} now", now.boot_id);
            return Ok(());
        }
        Some(asked) => return wait_for_it(driver, asked).await,
        None => (),
    }
    if !wanted(driver).await {
        return Ok(());
    }
    if let Err(error) = still_out(driver).await {
        if driver.operation.interferences <= MOST_INTERFERENCES {
            return Err(error);
        }
        // A reboot now would lose requests; come back without it.
        return Err(StepError::Failed(format!("not rebooted: {error}")));
    }
    // This moment, not the one when the phase began: the look before may have taken minutes.
    let asked = RebootAsked { at: driver.now()?, times: 1 };
    driver.operation.reboot = Some(asked.clone());
    driver.save()?;
    match driver.operation.request.under_ssm {
        // The SSM agent reboots the machine and runs the script again; rebooting under it would count as failed.
        true if !driver.stays => return Err(StepError::RebootMe),
        // Whoever waits for this driver sees it on record and asks the SSM agent.
        true => (),
        false => {
            if let Err(refused) = ask(driver).await {
                // The machine stays up: nothing keeps the node from coming back.
                driver.operation.reboot = None;
                return Err(refused);
            }
        }
    }
    wait_for_it(driver, asked).await
}

async fn wanted(driver: &Driver) -> bool {
    match (driver.operation.request.reboot, driver.operation.command) {
        (RebootWhen::Never, CommandState::RebootNeeded) => {
            tracing::warn!(
                "the command asks for a reboot (exit code 194) and none is wanted: use --reboot=if-required"
            );
            false
        }
        (RebootWhen::Never, _) => false,
        (RebootWhen::Always, _) | (RebootWhen::IfRequired, CommandState::RebootNeeded) => true,
        (RebootWhen::IfRequired, _) => {
            let required = driver.machine.reboot_required().await;
            tracing::info!("the system asks for {} reboot", if required { "a" } else { "no" });
            required
        }
    }
}

async fn ask(driver: &Driver) -> Step {
    tracing::info!("rebooting");
    driver.machine.reboot().await.map_err(|error| StepError::Failed(error.to_string()))
}

/// The machine goes down while we wait here; whoever comes back finds a new boot id.
async fn wait_for_it(driver: &mut Driver, mut asked: RebootAsked) -> Step {
    loop {
        if asked.times == 1 && asked.at.at_least_until(&driver.now()?) >= ASK_AGAIN_AFTER {
            tracing::warn!("the reboot did not come: asking for it once more");
            asked.times += 1;
            driver.operation.reboot = Some(asked.clone());
            driver.save()?;
            ask(driver).await?;
        }
        driver.look_again(LOOK_EVERY, "the machine to go down").await?;
    }
}
