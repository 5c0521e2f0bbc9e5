//! Which target groups we are in, and as what.

use crate::aws::instance_metadata::Identity;
use crate::aws::load_balancer::{CallError, LoadBalancer, Unsupported};
use crate::aws::target_group::{Target, TargetGroup, TargetState, own};

/// The tag that puts a target group into our care when none is named.
pub const MANAGED: &str = "node-agent/managed";

/// A target group that we are registered in, and our registrations there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The group.
    pub group: TargetGroup,
    /// Our registrations, those that are draining already left out.
    pub pairs: Vec<Target>,
    /// All its targets, as they were when we looked.
    pub targets: Vec<TargetState>,
}

/// Why our target groups cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// The API did not answer, or refused.
    #[error(transparent)]
    Call(#[from] CallError),
    /// We cannot work with it.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// A named group does not exist.
    #[error(
        "there is no target group {0} in this account and region; check the name, the region and the account"
    )]
    NoSuchGroup(String),
    /// We are not in a group that was named.
    #[error("{node} is not registered in the target group {group}; register it first, or name another group")]
    NotAMember {
        /// We.
        node: String,
        /// The group.
        group: String,
    },
    /// We are in no group at all.
    #[error(
        "{0} is in no target group with the tag node-agent/managed=true; tag the group, or name it with --target-group"
    )]
    Nowhere(String),
    /// Nobody has put a group into our care.
    #[error(
        "no target group in this account and region has the tag node-agent/managed=true; tag the group, or name it with \
         --target-group"
    )]
    NoneManaged,
}

/// Finds the named groups, or those that are tagged as managed and contain us, in the order of their ARNs: two nodes
/// in the same groups then never wait for each other.
///
/// # Errors
/// [`MembershipError`]; for named groups also when we are not in one of them.
pub async fn find(
    load_balancer: &LoadBalancer,
    identity: &Identity,
    named: &[String],
) -> Result<Vec<Membership>, MembershipError> {
    let node = || identity.instance_id.clone();
    let groups = match groups(load_balancer, named).await {
        Err(MembershipError::NoneManaged) => return Err(MembershipError::Nowhere(node())),
        groups => groups?,
    };
    let mut found = Vec::new();
    for group in groups {
        let name = group.name.clone();
        match membership(load_balancer, identity, group).await? {
            Some(membership) => found.push(membership),
            None if named.is_empty() => (),
            None => return Err(MembershipError::NotAMember { node: node(), group: name }),
        }
    }
    if found.is_empty() {
        return Err(MembershipError::Nowhere(node()));
    }
    Ok(found)
}

/// Like [`find`], for a machine that goes down whatever we think of it: what is of no use is left out. Empty: no request can
/// reach us through any group that we know of.
///
/// # Errors
/// When the API does not answer, or refuses.
pub async fn find_what_there_is(
    load_balancer: &LoadBalancer,
    identity: &Identity,
    named: &[String],
) -> Result<Vec<Membership>, CallError> {
    let mut found = Vec::new();
    for group in described(load_balancer, named).await? {
        match group {
            Ok(group) => found.extend(membership(load_balancer, identity, group).await?),
            Err(unsupported) => tracing::warn!("{unsupported}; leaving the others"),
        }
    }
    Ok(found)
}

/// The named groups, or all that are tagged as managed, whoever is in them, in the order of their ARNs.
///
/// # Errors
/// [`MembershipError`], when one is of a kind that we cannot work with, too.
pub async fn groups(
    load_balancer: &LoadBalancer,
    named: &[String],
) -> Result<Vec<TargetGroup>, MembershipError> {
    let described = described(load_balancer, named).await?;
    let missing = named.iter().find(|name| !described.iter().any(|group| is_called(group, name)));
    if let Some(name) = missing {
        return Err(MembershipError::NoSuchGroup(name.clone()));
    }
    if described.is_empty() {
        return Err(MembershipError::NoneManaged);
    }
    Ok(described.into_iter().collect::<Result<_, _>>()?)
}

/// The named groups that there are, or all that are tagged as managed, in the order of their ARNs, each once.
async fn described(
    load_balancer: &LoadBalancer,
    named: &[String],
) -> Result<Vec<Result<TargetGroup, Unsupported>>, CallError> {
    let mut described = load_balancer.target_groups(named).await?;
    if named.is_empty() {
        let arns: Vec<_> = described.iter().map(|group| arn(group).to_owned()).collect();
        let tags = load_balancer.tags(&arns).await?;
        let managed = |arn: &str| tags.get(arn)?.get(MANAGED);
        described.retain(|group| managed(arn(group)).is_some_and(|value| value == "true"));
    }
    described.sort_by(|a, b| arn(a).cmp(arn(b)));
    described.dedup_by(|a, b| arn(a) == arn(b));
    Ok(described)
}

async fn membership(
    load_balancer: &LoadBalancer,
    identity: &Identity,
    group: TargetGroup,
) -> Result<Option<Membership>, CallError> {
    let health = load_balancer.target_health(&group.arn).await?;
    let pairs: Vec<_> =
        own(identity.target_id(group.target_type), &health).map(|state| state.target.clone()).collect();
    Ok((!pairs.is_empty()).then_some(Membership { group, pairs, targets: health }))
}

fn arn(group: &Result<TargetGroup, Unsupported>) -> &str {
    match group {
        Ok(group) => &group.arn,
        Err(unsupported) => &unsupported.arn,
    }
}

fn is_called(group: &Result<TargetGroup, Unsupported>, name: &str) -> bool {
    match group {
        Ok(group) => group.arn == name || group.name == name,
        Err(unsupported) => unsupported.arn == name || unsupported.name == name,
    }
}
