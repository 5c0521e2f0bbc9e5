//! Leave and return directly: DeregisterTargets and RegisterTargets with the exact (id, port) pairs.

use crate::aws::load_balancer::CallError;
use crate::aws::target_group::{Target, TargetHealth, TargetType};
use crate::maintenance::context::{DriveError, Driver, Step, StepError};
use crate::maintenance::last_look::{fresh_reads, own_states};
use crate::maintenance::lease_writer::Sent;

/// DeregisterTargets in every group, each call on record before it is sent.
pub(super) async fn deregister(driver: &mut Driver) -> Step {
    driver.read_addresses().await;
    for index in 0..driver.operation.groups.len() {
        let mut failures = 0;
        loop {
            fresh_reads(driver).await?;
            let error = match driver.deregister_once(index).await? {
                Sent::Applied => break,
                Sent::NotApplied(error) | Sent::InDoubt(error) => error,
            };
            if error.is_group_gone() {
                driver.group_is_gone(index)?;
                break;
            }
            if error.is_final() {
                let why = error.to_string();
                let out = driver.operation.has_sent();
                return Err(if out { StepError::Failed(why) } else { StepError::Misconfigured(why) });
            }
            driver.back_off(&error, failures).await?;
            failures += 1;
        }
    }
    Ok(())
}

impl Driver {
    /// One DeregisterTargets for all our targets in a group, on record before it is sent.
    pub(crate) async fn deregister_once(&mut self, index: usize) -> Result<Sent, DriveError> {
        let now = self.now()?;
        let Some(group) = self.operation.live_group(index).filter(|group| !group.pairs.is_empty()) else {
            return Ok(Sent::Applied);
        };
        let (arn, pairs) = (group.arn.clone(), group.pairs.clone());
        let call = group.deregisters_in_doubt.begin(now);
        self.save()?;
        let sent = match self.load_balancer.deregister(&arn, &pairs).await {
            Ok(()) => Sent::Applied,
            Err(error) if error.may_have_been_applied() => return Ok(Sent::InDoubt(error)),
            Err(error) => Sent::NotApplied(error),
        };
        let now = self.now()?;
        if let Some(group) = self.operation.groups.get_mut(index) {
            group.deregisters_in_doubt.resolve(call);
            if let Sent::Applied = sent {
                group.deregistered = Some(now);
            }
        }
        self.save()?;
        Ok(sent)
    }
}

impl Driver {
    /// One RegisterTargets. Without an answer it stays in doubt beyond the maintenance, and delays only the next one.
    async fn register_once(
        &mut self,
        arn: &str,
        pairs: &[Target],
    ) -> Result<Result<(), CallError>, DriveError> {
        let now = self.now()?;
        let call = self.journal.record.calls_in_doubt.begin(now);
        self.save()?;
        let answer = self.load_balancer.clone().register(arn, pairs).await;
        if answer.as_ref().err().is_none_or(|error| !error.may_have_been_applied()) {
            // The next write of the record removes it.
            self.journal.record.calls_in_doubt.resolve(call);
        }
        Ok(answer)
    }
}

/// RegisterTargets in every group.
pub(super) async fn register(driver: &mut Driver) -> Step {
    driver.read_addresses().await;
    for index in 0..driver.operation.groups.len() {
        register_in(driver, index).await?;
    }
    Ok(())
}

async fn register_in(driver: &mut Driver, index: usize) -> Step {
    let Some(group) = driver.operation.live_group(index) else { return Ok(()) };
    let (arn, pairs, kind) = (group.arn.clone(), group.pairs.clone(), group.target_type);
    if pairs.is_empty() {
        return Err(StepError::Failed(format!(
            "failed to register this node in {}: none of the addresses that it was registered with is its own any more; \
             register it with `aws elbv2 register-targets`, then run `node-agent resume`",
            group.name
        )));
    }
    if kind == TargetType::Ip {
        wait_until_drained(driver, index).await?;
    }
    let mut failures = 0;
    loop {
        // To register a registered target changes nothing, so there is no need to check first.
        let Err(error) = driver.register_once(&arn, &pairs).await? else { return Ok(()) };
        if error.is_group_gone() {
            driver.group_is_gone(index)?;
            return Ok(());
        }
        // No error is final here: the node is out, and this call is the only way into service.
        driver.back_off(&error, failures).await.map_err(|ended| match ended {
            StepError::Failed(_) => StepError::Failed(format!("{error}; then run `node-agent resume`")),
            other => other,
        })?;
        failures += 1;
    }
}

/// One RegisterTargets in every group, whatever becomes of it. In either way: an Auto Scaling group that has brought the node
/// back does not repeat it.
pub(crate) async fn register_again(driver: &mut Driver) -> Step {
    for index in 0..driver.operation.groups.len() {
        let Some(group) = driver.operation.live_group(index).filter(|group| !group.pairs.is_empty()) else {
            continue;
        };
        let (arn, pairs) = (group.arn.clone(), group.pairs.clone());
        if let Err(error) = driver.register_once(&arn, &pairs).await? {
            tracing::warn!("{error}");
        }
    }
    Ok(())
}

/// A draining address cannot be registered before the delay has passed.
async fn wait_until_drained(driver: &mut Driver, index: usize) -> Step {
    while let Some(states) = own_states(driver, index).await? {
        let Some(draining) = states.iter().find(|state| state.health == TargetHealth::Draining) else {
            break;
        };
        let what =
            format!("for the deregistration delay of {}, before it can be registered again", draining.target);
        let pause = driver.health_poll();
        driver.look_again(pause, &what).await?;
    }
    Ok(())
}
