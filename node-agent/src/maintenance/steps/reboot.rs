//! reboot: request a reboot, and check for a new boot id.

use crate::machine::ports::MachineError;
use crate::maintenance::context::{Driver, Step, StepError};
use crate::maintenance::wait::MOST_INTERFERENCES;
use crate::record::{CommandState, RebootAsked, RebootWhen};
use std::time::Duration;

/// If the machine is still up after this long, the driver itself requests the reboot once more: the SSM agent may not have
/// done it, or a person ran `shutdown -c`.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(180);

/// How long to wait after a request that was refused; doubles with each.
const REFUSED_FIRST: Duration = Duration::from_secs(2);
/// The limit of that wait.
const REFUSED_LONGEST: Duration = Duration::from_secs(30);

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
    let asked = accepted(driver).await?;
    wait_for_it(driver, asked).await
}

/// Requests the reboot until it is accepted. One that is refused, as while a package is being installed, leaves nothing on
/// record: it was never going to happen.
async fn accepted(driver: &mut Driver) -> Step<RebootAsked> {
    let mut pause = REFUSED_FIRST;
    loop {
        check_before_request(driver).await?;
        // Read the clock again: the check above may have taken minutes.
        let asked = RebootAsked { at: driver.now()?, times: 1, next_boot: None };
        driver.operation.reboot = Some(asked.clone());
        driver.save()?;
        match driver.operation.request.under_ssm {
            // The SSM agent reboots the machine and runs the script again. A reboot by the script itself would count as failed.
            true if !driver.stays => return Err(StepError::RebootMe),
            // The client sees this on record and exits with 194.
            true => return Ok(asked),
            false => (),
        }
        let Err(refused) = ask(driver).await else { return Ok(asked) };
        // The machine stays up, so a node that gives up comes back.
        driver.operation.reboot = None;
        driver.save()?;
        wait_refused(driver, &mut pause, &refused).await?;
    }
}

async fn wait_refused(driver: &mut Driver, pause: &mut Duration, refused: &MachineError) -> Step {
    tracing::warn!("{refused}; trying again in {} s", pause.as_secs());
    driver.look_again(*pause, &format!("for the machine to accept a reboot: {refused}")).await?;
    *pause = (*pause * 2).min(REFUSED_LONGEST);
    Ok(())
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
            tracing::warn!("the command requests a reboot, but none was requested: use --reboot=if-required");
            false
        }
        (RebootWhen::Never, _) => false,
        (RebootWhen::Always, _) | (RebootWhen::IfRequired, CommandState::RebootNeeded) => true,
        (RebootWhen::IfRequired, _) => driver.machine.reboot_required().await.is_wanted(),
    }
}

async fn ask(driver: &Driver) -> Result<(), MachineError> {
    tracing::info!("rebooting");
    driver.machine.reboot().await
}

/// The machine goes down while the driver waits here. The driver after the boot finds a new boot id.
async fn wait_for_it(driver: &mut Driver, mut asked: RebootAsked) -> Step {
    let mut pause = REFUSED_FIRST;
    loop {
        let overdue = asked.times == 1 && asked.at.at_least_until(&driver.now()?) >= ASK_AGAIN_AFTER;
        // A slow SSM agent has scheduled its reboot. Another one would make it reboot once more.
        if overdue && driver.machine.shuts_down_soon().is_none() {
            check_before_request(driver).await?;
            tracing::warn!("the machine did not reboot: requesting the reboot once more");
            asked.times += 1;
            driver.operation.reboot = Some(asked.clone());
            driver.save()?;
            if let Err(refused) = ask(driver).await {
                // Refused, it does not count. The first request may still be obeyed.
                asked.times -= 1;
                driver.operation.reboot = Some(asked.clone());
                driver.save()?;
                wait_refused(driver, &mut pause, &refused).await?;
                continue;
            }
        }
        driver.look_again(LOOK_EVERY, "for the machine to go down").await?;
    }
}
