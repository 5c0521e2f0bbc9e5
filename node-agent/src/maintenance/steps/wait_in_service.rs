//! wait_in_service: wait until the load balancer reports this node healthy in two reads, further apart than a read can be
//! stale.

use crate::aws::target_group::TargetHealth;
use crate::maintenance::context::{Driver, Step, StepError};
use crate::maintenance::last_look::own_states;
use crate::maintenance::way::register_again;
use std::time::Duration;
use tokio::time::Instant;

/// A registration may take long to show. Until it has, nobody can have undone it, but the call may have been lost.
const REGISTER_AGAIN_AFTER: Duration = Duration::from_secs(60);

pub(super) async fn run(driver: &mut Driver) -> Step {
    let began = Instant::now();
    let staleness = driver.operation.request.settings.staleness.0;
    let slow_start = driver.operation.slow_start();
    let mut healthy_since: Option<Instant> = None;
    let (mut shown, mut sent) = (false, began);
    // The load balancer has to make its first check.
    let first = driver.health_poll().min(staleness);
    driver.look_again(first, "for the load balancer to report this node healthy").await?;
    loop {
        let seen_at = Instant::now();
        let what = match not_healthy(driver).await? {
            None => {
                shown = true;
                let since = *healthy_since.get_or_insert(seen_at);
                let healthy_for = seen_at.saturating_duration_since(since);
                if healthy_for > staleness && healthy_for >= slow_start {
                    return Ok(());
                }
                if healthy_for <= staleness {
                    "for a second healthy read".to_owned()
                } else {
                    "for the slow start to end".to_owned()
                }
            }
            Some(state) => {
                healthy_since = None;
                if state.taken_out && began.elapsed() > staleness {
                    if shown {
                        return Err(driver.interfered(&format!("{} although we registered it", state.shown)));
                    }
                    if sent.elapsed() >= REGISTER_AGAIN_AFTER {
                        tracing::warn!(
                            "{} after {} s: registering it again",
                            state.shown,
                            REGISTER_AGAIN_AFTER.as_secs()
                        );
                        register_again(driver).await?;
                        sent = Instant::now();
                    }
                }
                shown |= !state.taken_out;
                format!("for the load balancer to report this node healthy: {}", state.shown)
            }
        };
        // The end of the healthy period is known in advance.
        let due = healthy_since
            .map(|since| (since + staleness.max(slow_start)).saturating_duration_since(Instant::now()));
        let poll = driver.health_poll();
        let pause = due.map_or(poll, |due| due.min(poll)).max(Duration::from_millis(10));
        driver.look_again(pause, &what).await.map_err(halt_advice)?;
    }
}

struct NotHealthy {
    shown: String,
    taken_out: bool,
}

/// The first of our targets that is not healthy.
async fn not_healthy(driver: &mut Driver) -> Step<Option<NotHealthy>> {
    for index in 0..driver.operation.groups.len() {
        let Some(states) = own_states(driver, index).await? else { continue };
        let pairs = driver.operation.groups.get(index).map(|group| group.pairs.clone()).unwrap_or_default();
        for pair in pairs {
            match states.iter().find(|state| state.target == pair) {
                Some(state) if state.health == TargetHealth::Healthy => (),
                Some(state) => {
                    let shown = format!("{pair} is {state}");
                    return Ok(Some(NotHealthy { shown, taken_out: !state.is_registered() }));
                }
                None => {
                    return Ok(Some(NotHealthy {
                        shown: format!("{pair} is not registered"),
                        taken_out: true,
                    }));
                }
            }
        }
    }
    Ok(None)
}

fn halt_advice(error: StepError) -> StepError {
    match error {
        StepError::Failed(why) => StepError::Failed(format!(
            "{why}; the node is registered: make the service pass its health check, then run `node-agent resume`"
        )),
        other => other,
    }
}
