//! The local check: this node checks its own targets as the load balancer does.
//!
//! It is made before the node leaves and before it is registered again, by the same function: a node that could not pass it
//! would be out for nothing.

use crate::aws::health_check::matches_status;
use crate::aws::instance_metadata::Identity;
use crate::aws::target_group::{HealthCheck, Target, TargetGroup};
use crate::machine::local_service::without_user_info;
use crate::machine::ports::Service;
use crate::maintenance::context::{Driver, Step, StepError};
use crate::record::Operation;
use crate::settings::{OnUnhealthy, Settings};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// How long a node that the load balancer calls healthy may fail its own check before it is refused.
const BEFORE_LEAVING: Duration = Duration::from_secs(10);

/// What is checked: our targets in one group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnTargets<'a> {
    pub(crate) check: &'a HealthCheck,
    pub(crate) pairs: &'a [Target],
    /// The address of this node as a target of type `instance`.
    pub(crate) address: Option<IpAddr>,
}

/// A target that did not pass.
#[derive(Debug)]
pub(crate) struct NotPassed {
    pub(crate) target: Target,
    /// What was asked.
    url: String,
    /// Nothing answered, so nothing may listen there any more.
    pub(crate) without_answer: bool,
    why: String,
}

impl fmt::Display for NotPassed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.url, self.why)
    }
}

/// Whether the check is made before leaving: not for a node that is sick already, and not before a shutdown, which does not
/// wait for it.
fn is_asked(operation: &Operation) -> bool {
    !(operation.forced || operation.going_down.is_some() || operation.request.settings.repair)
}

/// In check_group: the node must pass the check that it will have to pass to come back. Returns why it never passed; then the
/// caller reads again whether the load balancer still calls it healthy.
///
/// # Errors
/// [`StepError::Misconfigured`] when no such check can be made, and those of a wait.
pub(crate) async fn pass_before_leaving(driver: &mut Driver) -> Step<Option<String>> {
    if !is_asked(&driver.operation) {
        return Ok(None);
    }
    let settings = driver.operation.request.settings.clone();
    let registers = settings.on_unhealthy == OnUnhealthy::Register;
    for group in driver.operation.live_groups().filter(|_| !registers) {
        if let Some(why) = never_passes(&group.health_check, &settings) {
            return Err(StepError::Misconfigured(format!("in target group {}, {why}", group.name)));
        }
    }
    // One failure may be chance.
    let tries = settings.health_passes.max(2);
    let mut tried = 0;
    // A short deadline must not end the wait before the last try does.
    let within = driver.time_left()?.map_or(BEFORE_LEAVING, |left| BEFORE_LEAVING.min(left / 2));
    loop {
        let Some(why) = first_not_passed(driver).await else { return Ok(None) };
        tried += 1;
        if registers {
            tracing::warn!("{why}; going on, because of --on-unhealthy register");
            return Ok(None);
        }
        if tried == tries {
            return Ok(Some(why));
        }
        let what = format!("for the service to pass the node's own check: {why}");
        driver.look_again(within / (tries - 1), &what).await?;
    }
}

async fn first_not_passed(driver: &Driver) -> Option<String> {
    let settings = &driver.operation.request.settings;
    for group in driver.operation.live_groups() {
        let own = OwnTargets { check: &group.health_check, pairs: &group.pairs, address: group.address };
        if let Some(not_passed) = check_targets(&*driver.service, own, settings).await.first() {
            return Some(advice(&group.name, not_passed));
        }
    }
    None
}

/// The address to which the load balancer sends what is meant for this node as a target of type `instance`: the primary
/// IPv4 address of the primary network interface, or the IPv6 address (ELBv2 user guide, "Target type").
pub(crate) fn address_of(identity: &Identity, group: &TargetGroup) -> Option<IpAddr> {
    identity.addresses.iter().copied().find(|address| address.is_ipv6() == group.ipv6)
}

/// Checks each target once. Returns those that did not pass.
pub(crate) async fn check_targets(
    service: &dyn Service,
    targets: OwnTargets<'_>,
    settings: &Settings,
) -> Vec<NotPassed> {
    let OwnTargets { check, pairs, address } = targets;
    let mut not_passed = Vec::new();
    for pair in pairs {
        let of_target = || pair.id.parse().ok().or(address).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let probe = match &settings.health_url {
            Some(url) => check.probe_at(url),
            None => check.probe(settings.service_address.unwrap_or_else(of_target), pair.port),
        };
        let (without_answer, why) = match service.probe(&probe).await {
            Ok(status) if matches_status(&check.matcher, status) => continue,
            Ok(status) => (false, format!("answered {status}, not {}", check.matcher)),
            Err(error) => (true, format!("did not answer: {error}")),
        };
        let url = without_user_info(&probe.url);
        not_passed.push(NotPassed { target: pair.clone(), url, without_answer, why });
    }
    not_passed
}

/// Why the local check of such a group can never pass; `None`: it can.
pub(crate) fn never_passes(check: &HealthCheck, settings: &Settings) -> Option<String> {
    let unspoken = check.http2 && settings.health_url.is_none();
    unspoken.then(|| {
        "the load balancer speaks HTTP/2 to the targets, and the local check speaks HTTP/1.1: set health_url to a URL at \
         which the service answers HTTP/1.1"
            .to_owned()
    })
}

/// What a person can do about a check that fails on a node that the load balancer calls healthy.
pub(crate) fn advice(group: &str, not_passed: &NotPassed) -> String {
    format!(
        "the load balancer reports no fault of this node in target group {group}, but its own check fails: {not_passed}; it could \
         not come back: set service_address to the IP address at which the service answers, or health_url to a URL that \
         answers as the health check does (`node-agent check --start` tries it)"
    )
}
