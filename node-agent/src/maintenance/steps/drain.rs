//! drain: wait until no request can reach us.
//!
//! DeregisterTargets returns before the load balancer has stopped sending, and `draining` is shown for the whole
//! deregistration delay, busy or not. So: never before the floor, and then either the load balancer says that we are
//! not registered any more, or the service itself has been idle for a while.

use crate::aws::target_group::{TargetHealth, TargetState, TargetType};
use crate::maintenance::context::{Driver, Step, StepError};
use crate::maintenance::last_look::own_states;
use std::time::Duration;
use tokio::time::Instant;

/// How often the service is asked for its requests in flight.
const IN_FLIGHT_EVERY: Duration = Duration::from_millis(250);

pub(super) async fn run(driver: &mut Driver) -> Step {
    let mut quiet_since = None;
    // The end of the delay is known: nothing is to be seen before.
    let mut next_look = Instant::now() + until_the_end(driver)?;
    let mut shown = "the load balancer to stop sending requests".to_owned();
    loop {
        if Instant::now() >= next_look {
            if let Gone::Everywhere = look(driver, &mut shown).await? {
                let floor = floor_left(driver)?;
                if floor.is_zero() {
                    return Ok(());
                }
            }
            next_look = Instant::now() + driver.health_poll();
        }
        let idle = idle_long_enough(driver, &mut quiet_since).await?;
        if idle && floor_left(driver)?.is_zero() {
            // Somebody may have registered us while we were counting.
            look(driver, &mut shown).await?;
            tracing::info!("no request in flight: no need to wait for the rest of the deregistration delay");
            return Ok(());
        }
        let early = driver.operation.request.settings.in_flight_url.is_some();
        let until_look = next_look.saturating_duration_since(Instant::now());
        let pause = if early { until_look.min(IN_FLIGHT_EVERY) } else { until_look };
        driver.look_again(pause.max(Duration::from_millis(10)), &shown).await?;
    }
}

enum Gone {
    Everywhere,
    NotYet,
}

/// One look at our pairs in every group.
///
/// # Errors
/// [`StepError::Blocked`] when somebody has registered us again.
async fn look(driver: &mut Driver, shown: &mut String) -> Step<Gone> {
    let mut gone = Gone::Everywhere;
    for index in 0..driver.operation.groups.len() {
        let Some(states) = own_states(driver, index).await? else { continue };
        // What the load balancer does not tell is no sign of somebody else.
        let known = |state: &&TargetState| state.health != TargetHealth::Unknown;
        if let Some(registered) = states.iter().filter(known).find(|state| state.is_registered()) {
            let what = format!("{} is {registered} although we deregistered it", registered.target);
            if past_staleness(driver, index)? {
                return Err(driver.interfered(&what));
            }
            gone = Gone::NotYet;
        }
        if let Some(draining) = states.iter().find(|state| !state.is_not_registered()) {
            *shown = format!("the deregistration delay: {} is {draining}", draining.target);
            gone = Gone::NotYet;
        }
    }
    driver.out_seen = Some(Instant::now());
    Ok(gone)
}

/// No pair of ours is registered in any group, as far as a read of this moment can tell.
///
/// # Errors
/// [`StepError::Blocked`] the first few times, then [`StepError::Failed`].
pub(super) async fn still_out(driver: &mut Driver) -> Step {
    let staleness = driver.operation.request.settings.staleness.0;
    if driver.out_seen.is_some_and(|seen| seen.elapsed() < staleness) {
        return Ok(());
    }
    look(driver, &mut String::new()).await.map(drop)
}

/// A read right after the call may still show what was before it.
fn past_staleness(driver: &Driver, index: usize) -> Step<bool> {
    let now = driver.now()?;
    let group = driver.operation.groups.get(index);
    let since = group.and_then(|group| group.deregistered.as_ref()).map(|at| at.at_least_until(&now));
    Ok(since.is_none_or(|since| since > driver.operation.request.settings.staleness.0))
}

/// How long requests may still arrive after DeregisterTargets was acknowledged.
fn floor_left(driver: &Driver) -> Step<Duration> {
    let floor = driver.operation.request.settings.drain_floor.0;
    Ok(floor.saturating_sub(since_deregistered(driver)?))
}

fn since_deregistered(driver: &Driver) -> Step<Duration> {
    let now = driver.now()?;
    let moments = driver.operation.live_groups().filter_map(|group| group.deregistered.as_ref());
    Ok(moments.map(|at| at.at_least_until(&now)).min().unwrap_or_default())
}

/// How long the load balancer will show us as draining, and the floor forbids to believe it.
fn until_the_end(driver: &Driver) -> Step<Duration> {
    if driver.operation.going_down.is_some() {
        // One that was halted has left long ago, most often: the load balancer is asked once the floor is over.
        return floor_left(driver);
    }
    let floor = driver.operation.request.settings.drain_floor.0;
    Ok(driver.operation.deregistration_delay().max(floor).saturating_sub(since_deregistered(driver)?))
}

/// Whether the service has had nothing in flight for the quiet period. Only where an early end is possible at all: a
/// target of type `ip` could not be registered again before the delay is over.
async fn idle_long_enough(driver: &Driver, quiet_since: &mut Option<Instant>) -> Result<bool, StepError> {
    let settings = &driver.operation.request.settings;
    let Some(url) = &settings.in_flight_url else { return Ok(false) };
    if driver.operation.live_groups().any(|group| group.target_type == TargetType::Ip) {
        return Ok(false);
    }
    match driver.service.in_flight(url).await {
        Ok(0) => {
            let since = *quiet_since.get_or_insert_with(Instant::now);
            return Ok(since.elapsed() >= settings.quiet_period.0);
        }
        Ok(_) => (),
        // The load balancer's word is then the only one.
        Err(error) => tracing::debug!("failed to count the requests in flight: {error}"),
    }
    *quiet_since = None;
    Ok(false)
}
