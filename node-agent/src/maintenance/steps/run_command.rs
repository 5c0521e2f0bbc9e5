//! run_command: the patch, or any other command, once.

use super::drain::still_out;
use crate::machine::ports::CommandEnd;
use crate::maintenance::context::{Driver, Step, StepError};
use crate::maintenance::wait::time_to_look_after;
use crate::record::CommandState;
use tokio::sync::watch;

pub(super) async fn run(driver: &mut Driver) -> Step {
    match driver.operation.command {
        CommandState::Succeeded | CommandState::RebootNeeded => return Ok(()),
        CommandState::Failed => return Err(StepError::Failed("the command had failed before".to_owned())),
        CommandState::Running | CommandState::NotRun => (),
    }
    still_out(driver).await?;
    driver.operation.command = CommandState::Running;
    driver.save()?;
    let ended = ended(driver).await?;
    driver.operation.command = match ended {
        CommandEnd::Exited(0) => CommandState::Succeeded,
        CommandEnd::Exited(code) if code == i32::from(crate::exit::REBOOT) => CommandState::RebootNeeded,
        _ => CommandState::Failed,
    };
    match driver.operation.command {
        CommandState::Failed => Err(StepError::Failed(format!("the command {ended}"))),
        _ => Ok(()),
    }
}

async fn ended(driver: &mut Driver) -> Step<CommandEnd> {
    let (ask, asked) = watch::channel(false);
    let (machine, mut stop) = (driver.machine.clone(), driver.stop.clone());
    let request = driver.operation.request.clone();
    let command = request.command.join(" ");
    tracing::info!("running `{command}`");
    let limit = driver.time_left()?.unwrap_or(request.settings.command_limit.0);
    let running = machine.run(&request.command, limit, request.settings.command_grace.0, asked);
    tokio::pin!(running);
    loop {
        tokio::select! {
            ended = &mut running => return ended.map_err(|error| {
                driver.operation.command = CommandState::Failed;
                StepError::Failed(error.to_string())
            }),
            Ok(_) = stop.wait_for(|asked| *asked), if !*ask.borrow() => {
                ask.send_replace(true);
            }
            () = time_to_look_after() => (),
        }
        driver.hear()?;
        if driver.turn_back.is_some() {
            ask.send_replace(true);
        }
        driver.progress.waiting("run_command", &format!("`{command}`"), driver.limit());
        driver.keep_lease().await?;
    }
}
