//! Which target groups we are in, and as what.

use crate::identity::Identity;
use crate::load_balancer::{CallError, LoadBalancer, Unsupported};
use crate::target_group::{Target, TargetGroup, TargetState, TargetType};

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
    let described = load_balancer.target_groups(named).await?;
    let mut found = if named.is_empty() {
        managed(load_balancer, identity, described).await?
    } else {
        let missing = named.iter().find(|name| !described.iter().any(|group| is_called(group, name)));
        if let Some(name) = missing {
            return Err(MembershipError::NoSuchGroup(name.clone()));
        }
        let mut found = Vec::new();
        for group in described {
            let group = group?;
            let not_a_member = || MembershipError::NotAMember {
                node: identity.instance_id.clone(),
                group: group.name.clone(),
            };
            let membership = membership(load_balancer, identity, group.clone()).await?;
            found.push(membership.ok_or_else(not_a_member)?);
        }
        found
    };
    found.sort_by(|a, b| a.group.arn.cmp(&b.group.arn));
    found.dedup_by(|a, b| a.group.arn == b.group.arn);
    Ok(found)
}

/// One sweep over the account's groups.
async fn managed(
    load_balancer: &LoadBalancer,
    identity: &Identity,
    described: Vec<Result<TargetGroup, Unsupported>>,
) -> Result<Vec<Membership>, MembershipError> {
    let arns: Vec<_> = described.iter().map(|group| arn(group).to_owned()).collect();
    let tags = load_balancer.tags(&arns).await?;
    let is_managed =
        |arn: &str| tags.get(arn).and_then(|tags| tags.get(MANAGED)).is_some_and(|value| value == "true");
    let mut found = Vec::new();
    for group in described.into_iter().filter(|group| is_managed(arn(group))) {
        found.extend(membership(load_balancer, identity, group?).await?);
    }
    if found.is_empty() {
        return Err(MembershipError::Nowhere(identity.instance_id.clone()));
    }
    Ok(found)
}

async fn membership(
    load_balancer: &LoadBalancer,
    identity: &Identity,
    group: TargetGroup,
) -> Result<Option<Membership>, CallError> {
    let health = load_balancer.target_health(&group.arn).await?;
    let pairs: Vec<_> = own(identity, group.target_type, &health).map(|state| state.target.clone()).collect();
    Ok((!pairs.is_empty()).then_some(Membership { group, pairs, targets: health }))
}

/// Our own registrations that count: not those that are draining.
pub fn own<'a>(
    identity: &'a Identity,
    kind: TargetType,
    health: &'a [TargetState],
) -> impl Iterator<Item = &'a TargetState> {
    let us = identity.target_id(kind);
    health.iter().filter(move |state| state.target.id == us && state.is_registered())
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
