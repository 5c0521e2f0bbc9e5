//! run_command: run the command, once.

use crate::machine::ports::{CommandEnd, CommandEnded};
use crate::machine::program::{named, shown};
use crate::maintenance::context::{Driver, Step, StepError};
use crate::maintenance::wait::until_next_check;
use crate::record::CommandState;
use crate::settings::Settings;

pub(super) async fn run(driver: &mut Driver) -> Step {
    match driver.operation.command {
        CommandState::Succeeded | CommandState::RebootNeeded => return Ok(()),
        CommandState::Failed => return Err(StepError::Failed("the command failed before".to_owned())),
        CommandState::Running | CommandState::NotRun => (),
    }
    if let Err(error) = driver.check_still_out().await {
        return Err(match (driver.operation.command, error) {
            // It was cut off, and what it has changed is unknown: the node comes back instead of leaving again.
            (CommandState::Running, StepError::Blocked(why)) => {
                driver.operation.command = CommandState::Failed;
                StepError::Failed(format!("the command is not run again: {why}"))
            }
            (_, error) => error,
        });
    }
    driver.operation.command = CommandState::Running;
    driver.operation.scope = scope(driver)?;
    driver.save()?;
    let ended = run_to_its_end(driver).await;
    driver.operation.scope = None;
    let ended = ended?;
    driver.operation.command = meaning(ended.how, &driver.operation.request.settings);
    match driver.operation.command {
        CommandState::Failed => Err(StepError::Failed(why(&ended, driver.stays))),
        _ => Ok(()),
    }
}

/// In the unit, the command gets a scope of its own. What a script starts in the background and leaves there, such as a new
/// version of a service, would otherwise be killed with the unit, right after the maintenance has succeeded. The name is
/// new in each boot and for each command: an old scope lasts as long as what was left in it.
fn scope(driver: &Driver) -> Step<Option<String>> {
    if !driver.stays {
        return Ok(None);
    }
    Ok(Some(format!("node-agent-command-{}.scope", driver.now()?.uptime_ms)))
}

/// What the end of the command means. 194 requests a reboot everywhere: it is the code of SSM.
fn meaning(how: CommandEnd, settings: &Settings) -> CommandState {
    let CommandEnd::Exited(code) = how else { return CommandState::Failed };
    let among = |codes: &[u8]| codes.iter().any(|other| i32::from(*other) == code);
    match code {
        0 => CommandState::Succeeded,
        _ if code == i32::from(crate::exit::REBOOT) || among(&settings.reboot_codes) => {
            CommandState::RebootNeeded
        }
        _ if among(&settings.success_codes) => CommandState::Succeeded,
        _ => CommandState::Failed,
    }
}

/// Why the command failed, for whoever sees nothing else of it. The output of the unit is in the journal.
fn why(ended: &CommandEnded, in_the_unit: bool) -> String {
    let how = format!("the command {}", ended.how);
    let place = if in_the_unit { " (`journalctl -u node-agent` has all of it)" } else { "" };
    match ended.last_lines.as_str() {
        "" => how,
        lines => format!("{how}; the end of its output{place}:\n{lines}"),
    }
}

async fn run_to_its_end(driver: &mut Driver) -> Step<CommandEnded> {
    // Cancelled by a signal as the driver is, and by a request taken here.
    let (machine, stop) = (driver.machine.clone(), driver.stop.child_token());
    let request = driver.operation.request.clone();
    let (command, scope) = (named(&request.command), driver.operation.scope.clone());
    tracing::info!("running `{command}`");
    tracing::debug!("with its arguments: {}", shown(&request.command));
    let limit = driver.time_left()?.unwrap_or(request.settings.command_limit.0);
    let running = machine.run(
        &request.command,
        scope.as_deref(),
        limit,
        request.settings.command_grace.0,
        stop.clone(),
    );
    tokio::pin!(running);
    loop {
        tokio::select! {
            ended = &mut running => return ended.map_err(|error| {
                driver.operation.command = CommandState::Failed;
                StepError::Failed(error.to_string())
            }),
            () = until_next_check() => (),
        }
        driver.take_requests()?;
        if driver.turn_back.is_some() {
            stop.cancel();
        }
        driver.progress.waiting("run_command", &format!("for `{command}`"), driver.limit());
        driver.keep_lease().await?;
        driver.leave_again_beside_the_command().await?;
    }
}
