//! Leave and return by the Auto Scaling group: EnterStandby and ExitStandby.

use crate::aws::auto_scaling::{Member, NoStandby};
use crate::aws::load_balancer::CallError;
use crate::maintenance::context::{Driver, Step, StepError};
use crate::maintenance::last_look::{fresh_reads, own_states};
use crate::record::{InDoubt, Standby};
use crate::settings::AutoScaling;
use std::time::Duration;
use tokio::time::Instant;

/// How many rejected EnterStandby calls to retry: the instance may already be in standby, and a stale read does not show it.
const MOST_REJECTIONS: u32 = 3;
/// If the group has not registered an InService instance within this time, it does not register it.
const REGISTERS_WITHIN: Duration = Duration::from_secs(60);

/// Finds the group that should move this node, and writes its name to the record. Returns why it cannot now.
///
/// # Errors
/// [`StepError::Misconfigured`] when only a person can change the reason.
pub(crate) async fn may_begin(driver: &mut Driver) -> Step<Option<String>> {
    driver.operation.standby = None;
    if driver.operation.request.settings.asg != AutoScaling::Standby || driver.operation.forced {
        return Ok(None);
    }
    let Some(member) = ask_member(driver).await? else {
        tracing::info!("this instance is in no Auto Scaling group: not using standby");
        return Ok(None);
    };
    let api = driver.auto_scaling.clone();
    let group = driver.ask(async |_| api.group(&member.group).await).await?;
    let Some(group) = group else {
        return Ok(Some(format!("the Auto Scaling group {} is not visible yet", member.group)));
    };
    let spared = group.spares(&member).and_then(|()| {
        let mut ours = driver.operation.live_groups();
        ours.try_for_each(|ours| group.moves(&ours.arn, &ours.name, ours.target_type, ours.port, &ours.pairs))
    });
    match spared {
        Ok(()) => (),
        Err(NoStandby::NotNow(why)) => return Ok(Some(why)),
        Err(NoStandby::Never(why)) => return Err(StepError::Misconfigured(why)),
    }
    driver.operation.standby =
        Some(Standby { group: group.name, entered: None, in_doubt: InDoubt::default() });
    Ok(None)
}

async fn ask_member(driver: &mut Driver) -> Step<Option<Member>> {
    let (api, id) = (driver.auto_scaling.clone(), driver.identity.instance_id.clone());
    driver.ask(async |_| api.member(&id).await).await
}

/// Has the group take this node out. False: the agent has to do it.
pub(super) async fn leave(driver: &mut Driver) -> Step<bool> {
    if driver.operation.standby.is_none() {
        return Ok(false);
    }
    if driver.operation.live_groups().all(|group| group.deregistered.is_some()) {
        // The node has been out already: somebody else has registered it, which the Auto Scaling group does not undo.
        return Ok(false);
    }
    let mut failures = 0;
    loop {
        match ask_member(driver).await? {
            // This process or an earlier one has sent EnterStandby.
            Some(member) if member.is_leaving_or_out() => break,
            // The machine goes down in a moment.
            _ if driver.operation.forced => return Ok(false),
            Some(member) if member.state == "InService" => {
                fresh_reads(driver).await?;
                if enter(driver, failures).await? {
                    break;
                }
                failures += 1;
            }
            Some(member) => {
                return Err(StepError::Failed(format!(
                    "the Auto Scaling group {} reports this instance as {}, not as InService",
                    member.group, member.state
                )));
            }
            None => {
                return Err(StepError::Failed(
                    "this instance is no longer in an Auto Scaling group".to_owned(),
                ));
            }
        }
    }
    wait_until_out(driver).await.map(|()| true)
}

/// Has the group bring this node back. False: the group does not register it in every target group.
pub(super) async fn come_back(driver: &mut Driver) -> Step<bool> {
    Ok(exit(driver).await? && wait_until_registered(driver).await?)
}

/// Sends EnterStandby, on record before it is sent. True once it is acknowledged.
///
/// A call without an answer may still take effect. While the node is out it is rejected, but after ExitStandby it would
/// take the node out again, so it stays on record until it no longer can.
async fn enter(driver: &mut Driver, failures: u32) -> Step<bool> {
    let now = driver.now()?;
    let Some(standby) = &mut driver.operation.standby else { return Ok(true) };
    let (group, call) = (standby.group.clone(), standby.in_doubt.begin(now));
    driver.save()?;
    let id = driver.identity.instance_id.clone();
    let answer = driver.auto_scaling.enter_standby(&group, &id).await;
    if answer.as_ref().err().is_none_or(|error| !error.may_have_been_applied())
        && let Some(standby) = &mut driver.operation.standby
    {
        standby.in_doubt.resolve(call);
    }
    let error = match answer {
        Ok(()) => return note_entered(driver).map(|()| true),
        Err(error) => error,
    };
    driver.save()?;
    if error.is_final() && failures >= MOST_REJECTIONS {
        return Err(rejected(driver, &error));
    }
    driver.back_off(&error, failures).await?;
    Ok(false)
}

/// A rejected call has changed nothing, but an earlier one may have.
fn rejected(driver: &Driver, error: &CallError) -> StepError {
    let why = error.to_string();
    if driver.operation.has_sent() { StepError::Failed(why) } else { StepError::Misconfigured(why) }
}

/// The group is taking this node out: waits until our target groups show it. The drain counts from then, because the group
/// deregisters some time after it acknowledged the call.
async fn wait_until_out(driver: &mut Driver) -> Step {
    if let Some(standby) = driver.operation.standby.as_mut().filter(|standby| standby.entered.is_none()) {
        // The group shows that one call was applied.
        standby.in_doubt.resolve_oldest();
        note_entered(driver)?;
    }
    let staleness = driver.operation.request.settings.staleness.0;
    driver.prove(staleness, "for the Auto Scaling group to deregister this node").await?;
    for index in 0..driver.operation.groups.len() {
        loop {
            let Some(states) = own_states(driver, index).await? else { break };
            let Some(registered) = states.iter().find(|state| state.is_registered()) else { break };
            let what =
                format!("for the Auto Scaling group to deregister {}: it is {registered}", registered.target);
            let pause = driver.health_poll();
            driver.look_again(pause, &what).await?;
        }
        let now = driver.now()?;
        if let Some(group) = driver.operation.groups.get_mut(index) {
            group.deregistered = Some(now);
        }
        driver.save()?;
    }
    Ok(())
}

fn note_entered(driver: &mut Driver) -> Step {
    let now = driver.now()?;
    if let Some(standby) = &mut driver.operation.standby {
        standby.entered = Some(now);
    }
    Ok(driver.save()?)
}

/// Ends a standby, with or without a record of it. True when the group registers this node; otherwise the agent has to.
async fn exit(driver: &mut Driver) -> Step<bool> {
    let ours = driver.operation.standby.clone();
    settle(driver, ours.as_ref()).await?;
    let id = driver.identity.instance_id.clone();
    // After a lost record or a boot, the group's state decides.
    let mut by_the_group = ours.as_ref().is_some_and(|standby| standby.entered.is_some());
    let mut failures = 0;
    loop {
        let error = match driver.auto_scaling.clone().member(&id).await {
            Ok(None) => return Ok(false),
            Ok(Some(member)) if member.state == "InService" => return Ok(by_the_group),
            Ok(Some(member)) if member.state == "Standby" => {
                by_the_group = true;
                driver.auto_scaling.clone().exit_standby(&member.group, &id).await.err()
            }
            Ok(Some(member)) if member.is_leaving_or_out() || member.is_pending() => {
                by_the_group = true;
                None
            }
            Ok(Some(member)) => {
                return Err(StepError::Failed(format!(
                    "the Auto Scaling group {} reports this instance as {} and does not bring it back",
                    member.group, member.state
                )));
            }
            // Without a standby on record, the permission to look may never have been granted.
            Err(error) if ours.is_none() && error.is_final() => return Ok(false),
            Err(error) => Some(error),
        };
        let waited = match &error {
            Some(error) => driver.back_off(error, failures).await,
            None => {
                let pause = driver.health_poll();
                driver.look_again(pause, "for the Auto Scaling group to bring this instance back").await
            }
        };
        waited.map_err(resume_advice)?;
        failures = if error.is_some() { failures + 1 } else { 0 };
    }
}

/// Right after EnterStandby the group may still show the state before it.
async fn settle(driver: &mut Driver, ours: Option<&Standby>) -> Step {
    let Some(entered) = ours.and_then(|standby| standby.entered.as_ref()) else { return Ok(()) };
    let passed = entered.at_least_until(&driver.now()?);
    let staleness = driver.operation.request.settings.staleness.0;
    if passed < staleness {
        driver.prove(staleness.saturating_sub(passed), "for EnterStandby to become visible").await?;
    }
    Ok(())
}

/// Waits until the group has registered this node everywhere. False when it does not: no group registers a target again
/// that was deregistered by hand.
async fn wait_until_registered(driver: &mut Driver) -> Step<bool> {
    let began = Instant::now();
    for index in 0..driver.operation.groups.len() {
        while let Some(states) = own_states(driver, index).await? {
            let Some(missing) = states.iter().find(|state| !state.is_registered()) else { break };
            if began.elapsed() > REGISTERS_WITHIN {
                tracing::warn!(
                    "the Auto Scaling group does not register {}: registering it directly",
                    missing.target
                );
                return Ok(false);
            }
            let what = format!("for the Auto Scaling group to register {}: it is {missing}", missing.target);
            let pause = driver.health_poll();
            driver.look_again(pause, &what).await.map_err(resume_advice)?;
        }
    }
    Ok(true)
}

fn resume_advice(error: StepError) -> StepError {
    match error {
        StepError::Failed(why) => StepError::Failed(format!(
            "{why}; see the group's activities (`aws autoscaling describe-scaling-activities`), then run `node-agent resume`"
        )),
        other => other,
    }
}
