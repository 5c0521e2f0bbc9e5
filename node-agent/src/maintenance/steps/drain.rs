//! drain: wait until no request can reach this node.
//!
//! DeregisterTargets returns before the load balancer stops sending requests, and the target is `draining` for the whole
//! deregistration delay, busy or not. The drain takes at least `drain_floor`. It then ends when the load balancer no longer
//! lists the target, or when the service has been idle for `quiet_period`. Its longest time is in `limits.rs`.

use crate::aws::target_group::{TargetHealth, TargetState, TargetType};
use crate::maintenance::context::{Driver, Step, StepError};
use crate::maintenance::last_look::own_states;
use std::time::Duration;
use tokio::time::Instant;

/// How often the service is asked for its requests in flight.
const IN_FLIGHT_EVERY: Duration = Duration::from_millis(250);

pub(super) async fn run(driver: &mut Driver) -> Step {
    let mut quiet_since = None;
    // The target stays `draining` until the delay has passed, so do not read before that.
    let mut next_look = Instant::now() + until_the_end(driver)?;
    let mut shown = "for the load balancer to stop sending requests".to_owned();
    loop {
        if Instant::now() >= next_look {
            if let Gone::Everywhere = look(driver, &mut shown).await?
                && floor_left(driver)?.is_zero()
            {
                return driver.check_nothing_registered().await;
            }
            next_look = Instant::now() + driver.health_poll();
        }
        let idle = idle_long_enough(driver, &mut quiet_since).await?;
        if idle && floor_left(driver)?.is_zero() {
            driver.check_nothing_registered().await?;
            tracing::info!("no requests in flight: skipping the rest of the deregistration delay");
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

/// Reads our targets in every group once.
///
/// # Errors
/// [`StepError::Blocked`] when something else has registered one again.
async fn look(driver: &mut Driver, shown: &mut String) -> Step<Gone> {
    let mut gone = Gone::Everywhere;
    driver.read_addresses().await;
    for index in 0..driver.operation.groups.len() {
        let Some(states) = own_states(driver, index).await? else { continue };
        // An unknown state does not mean that the target was registered again.
        let known = |state: &&TargetState| state.health != TargetHealth::Unknown;
        if let Some(registered) = states.iter().filter(known).find(|state| state.is_registered()) {
            let what = format!("{} is {registered} although we deregistered it", registered.target);
            if driver.is_past_staleness(index)? {
                return Err(driver.interfered(&what));
            }
            gone = Gone::NotYet;
        }
        if let Some(draining) = states.iter().find(|state| !state.is_not_registered()) {
            *shown = format!("for the deregistration delay: {} is {draining}", draining.target);
            gone = Gone::NotYet;
        }
    }
    Ok(gone)
}

/// What is left of `drain_floor`: requests may still arrive for a while after DeregisterTargets was acknowledged.
fn floor_left(driver: &Driver) -> Step<Duration> {
    let floor = driver.operation.request.settings.drain_floor.0;
    Ok(floor.saturating_sub(since_deregistered(driver)?))
}

fn since_deregistered(driver: &Driver) -> Step<Duration> {
    let now = driver.now()?;
    let moments = driver.operation.live_groups().filter_map(|group| group.deregistered.as_ref());
    Ok(moments.map(|at| at.at_least_until(&now)).min().unwrap_or_default())
}

/// How long the drain takes at least: what is left of the deregistration delay and of `drain_floor`.
fn until_the_end(driver: &Driver) -> Step<Duration> {
    if driver.operation.going_down.is_some() {
        // A halted node has usually left long ago: ask the load balancer as soon as the floor has passed.
        return floor_left(driver);
    }
    let floor = driver.operation.request.settings.drain_floor.0;
    Ok(driver.operation.deregistration_delay().max(floor).saturating_sub(since_deregistered(driver)?))
}

/// Whether the service has had no requests in flight for the quiet period. Not in groups of type `ip`: an early end is no
/// use there, because an address cannot be registered again before the delay has passed.
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
        // Without a count, the load balancer decides.
        Err(error) => tracing::debug!("failed to count the requests in flight: {error}"),
    }
    *quiet_since = None;
    Ok(false)
}
