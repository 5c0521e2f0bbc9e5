//! wait_in_service: wait until the load balancer reports this node healthy in two reads, further apart than a read can be
//! stale. In a group that no load balancer uses, `unused (Target.NotInUse)` is as far as it gets.

use crate::aws::target_group::{TargetHealth, TargetState, is_idle};
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
        let what = match look(driver).await? {
            Seen::InService { in_use } => {
                shown = true;
                let since = *healthy_since.get_or_insert(seen_at);
                let healthy_for = seen_at.saturating_duration_since(since);
                if healthy_for > staleness && (healthy_for >= slow_start || !in_use) {
                    return Ok(());
                }
                if healthy_for <= staleness {
                    "for a second healthy read".to_owned()
                } else {
                    "for the slow start to end".to_owned()
                }
            }
            Seen::NotYet(state) => {
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

enum Seen {
    /// All our targets are healthy, or nobody uses them. `in_use`: some are healthy.
    InService {
        in_use: bool,
    },
    NotYet(NotHealthy),
}

struct NotHealthy {
    shown: String,
    taken_out: bool,
}

/// One read of each group.
async fn look(driver: &mut Driver) -> Step<Seen> {
    let mut in_use = false;
    for index in 0..driver.operation.groups.len() {
        let Some(states) = own_states(driver, index).await? else { continue };
        let pairs = driver.operation.groups.get(index).map(|group| group.pairs.clone()).unwrap_or_default();
        for pair in pairs {
            match states.iter().find(|state| state.target == pair) {
                Some(state) if state.health == TargetHealth::Healthy => in_use = true,
                Some(state) if stays_unused(driver, index, state).await? => (),
                Some(state) => {
                    let shown = format!("{pair} is {state}");
                    return Ok(Seen::NotYet(NotHealthy { shown, taken_out: !state.is_registered() }));
                }
                None => {
                    return Ok(Seen::NotYet(NotHealthy {
                        shown: format!("{pair} is not registered"),
                        taken_out: true,
                    }));
                }
            }
        }
    }
    Ok(Seen::InService { in_use })
}

/// Whether no load balancer uses this target, as before we left, or as all others of its group now.
async fn stays_unused(driver: &mut Driver, index: usize, state: &TargetState) -> Step<bool> {
    let Some(group) = driver.operation.live_group(index).filter(|_| state.is_not_in_use()) else {
        return Ok(false);
    };
    if group.not_in_use {
        return Ok(true);
    }
    let targets = driver.ask_group(index, async |lb, arn| lb.target_health(arn).await).await?;
    Ok(targets.is_some_and(|targets| is_idle(&targets)))
}

fn halt_advice(error: StepError) -> StepError {
    match error {
        StepError::Failed(why) => StepError::Failed(format!(
            "{why}; the node is registered: make the service pass its health check, then run `node-agent resume`"
        )),
        other => other,
    }
}
