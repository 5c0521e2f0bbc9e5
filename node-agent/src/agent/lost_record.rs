//! A lease of this node that is not on record: the record was lost, or an earlier write was applied late.
//!
//! The rules of a restart apply (docs/lease.md). If the record was lost, a DeregisterTargets may have been sent right before
//! the boot: the lease is released only when that call can no longer take effect and the node is in service.

use crate::aws::instance_metadata::Identity;
use crate::aws::load_balancer::LoadBalancer;
use crate::aws::own_groups::{self, Membership, MembershipError, Search, patiently};
use crate::aws::target_group::{TargetGroup, TargetHealth, TargetState};
use crate::lease::quarantine::{Restart, restart};
use crate::lease::{LeaseState, LeaseTag, Leases, Reading, tag};
use crate::machine::time::Moment;
use crate::maintenance::local_check::address_of;
use crate::record::phase::Phase;
use crate::record::{ClaimOnRecord, Failure, Group, InDoubt, Operation, Request};
use crate::settings::Settings;

/// What this node knows when it looks for its leases.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The identity of this node.
    pub identity: &'a Identity,
    /// The settings in force.
    pub settings: &'a Settings,
    /// The current moment.
    pub now: &'a Moment,
    /// There is no record. Otherwise the record says that no maintenance is in progress.
    pub record_missing: bool,
}

/// Why the node cannot come back by itself.
#[derive(Debug, thiserror::Error)]
pub enum LostRecordError {
    /// The groups or their tags could not be read.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The ports with which the node was registered are unknown.
    #[error(
        "failed to bring this node back: it holds a lease in the target group {0}, but it has no record and is not \
         registered there, so its ports are unknown; register it with `aws elbv2 register-targets`, then run \
         `node-agent resume`, which releases the lease when the node is healthy"
    )]
    PortsUnknown(String),
}

impl From<crate::aws::load_balancer::CallError> for LostRecordError {
    fn from(error: crate::aws::load_balancer::CallError) -> LostRecordError {
        MembershipError::from(error).into()
    }
}

/// Looks for leases of this node. Returns the operation to drive, or `None` if there is no lease.
///
/// # Errors
/// [`LostRecordError`]; nothing was changed.
pub async fn find(
    load_balancer: &LoadBalancer,
    known: Known<'_>,
) -> Result<Option<Operation>, LostRecordError> {
    let search = Search::of(&known.settings.target_groups);
    let groups = patiently(async || own_groups::groups(load_balancer, &search).await).await?;
    let arns: Vec<_> = groups.iter().map(|group| group.arn.clone()).collect();
    let mut tags = load_balancer.tags(&arns).await?;
    let shows_ours = |tags| Leases::from_tags(tags).of(&known.identity.instance_id).and_then(ours).is_some();
    if !known.record_missing && tags.values().any(shows_ours) {
        // A stale read may show the lease of a maintenance that has just ended.
        tokio::time::sleep(known.settings.settle.0).await;
        tags = load_balancer.tags(&arns).await?;
    }
    let mut found = Vec::new();
    for group in groups {
        let shown = tags.get(&group.arn).cloned().unwrap_or_default();
        let leases = Leases::from_tags(&shown);
        let lease = leases.of(&known.identity.instance_id).and_then(ours);
        if lease.is_none() && !known.record_missing {
            continue;
        }
        let Membership { group, own, .. } = Membership::of(load_balancer, known.identity, group).await?;
        match lease {
            Some(_) if own.is_empty() => return Err(LostRecordError::PortsUnknown(group.name)),
            None if own.is_empty() => continue,
            _ => (),
        }
        let attributes = load_balancer.attributes(&group.arn).await?;
        let instance = &known.identity.instance_id;
        let key = tag::key(known.settings.lease_role_id.as_deref(), instance);
        let mut group = on_record(group, &own, attributes, lease, known);
        group.other_keys = tag::other_keys(shown.keys(), instance, &key);
        found.push(Found { group, own, operation: lease.map(|lease| lease.operation.clone()) });
    }
    Ok(operation(found, known))
}

/// A group that this node has to look after.
struct Found {
    group: Group,
    own: Vec<TargetState>,
    /// The operation that its lease names. `None`: no lease shows. Beside one that does, a lost record may have named a claim
    /// that lands later.
    operation: Option<String>,
}

/// A lease that the agent has to release. A `failed` one stays until the next success. An unreadable one was not written
/// by this version.
fn ours(reading: &Reading) -> Option<&LeaseTag> {
    match reading {
        Reading::Tag(tag) if tag.state != LeaseState::Failed => Some(tag),
        _ => None,
    }
}

fn on_record(
    group: TargetGroup,
    own: &[TargetState],
    attributes: crate::aws::target_group::Attributes,
    lease: Option<&LeaseTag>,
    known: Known<'_>,
) -> Group {
    let claim = lease.map(|lease| ClaimOnRecord {
        nonce: lease.nonce.clone(),
        max_unavailable: lease.max_unavailable.unwrap_or(1),
        at: lease.at.unwrap_or(known.now.utc),
    });
    let address = address_of(known.identity, &group);
    Group {
        arn: group.arn,
        name: group.name,
        target_type: group.target_type,
        port: group.port,
        address,
        health_check: group.health_check,
        pairs: own.iter().map(|state| state.target.clone()).collect(),
        joined: Vec::new(),
        attributes,
        registered: 0,
        ticket: None,
        claim,
        failed_before: false,
        other_keys: Vec::new(),
        not_in_use: own.iter().all(TargetState::is_not_in_use),
        deregistered: None,
        deregisters_in_doubt: InDoubt::default(),
        tags_in_doubt: InDoubt::default(),
        gone: false,
    }
}

fn operation(mut found: Vec<Found>, known: Known<'_>) -> Option<Operation> {
    let id = found.iter().find_map(|found| found.operation.clone())?;
    let in_service = |state: &TargetState| state.health == TargetHealth::Healthy || state.is_not_in_use();
    let healthy = found.iter().flat_map(|found| &found.own).all(in_service);
    let since_boot = std::time::Duration::from_millis(known.now.uptime_ms);
    let since_sent = known.record_missing.then_some(since_boot);
    let decided = restart(healthy, since_sent, known.settings.quarantine.0);
    let phase = if decided == Restart::ComeBack { Phase::CheckHealth } else { Phase::ReleaseLease };
    let boot = Moment { uptime_ms: 0, ..known.now.clone() };
    if known.record_missing && decided != Restart::Remove {
        // In the worst case they were sent right before the boot.
        for Found { group, .. } in &mut found {
            group.deregisters_in_doubt = InDoubt::since(boot.clone());
            group.tags_in_doubt = InDoubt::since(boot.clone());
        }
    }
    let request = Request::new(id, known.settings.clone());
    let failure = known.record_missing.then(|| Failure {
        phase,
        reason: "the record of a maintenance is missing: what was done is unknown".to_owned(),
        configuration: false,
        turned_back: None,
    });
    Some(Operation {
        phase,
        groups: found.into_iter().map(|found| found.group).collect(),
        left: Some(boot),
        failure,
        ..Operation::new(request, known.now.clone())
    })
}
