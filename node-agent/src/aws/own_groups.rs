//! Which target groups this node is in, and with which targets.

mod search;

use crate::aws::instance_metadata::Identity;
use crate::aws::load_balancer::{CallError, LoadBalancer, Unsupported};
use crate::aws::target_group::{CONTROLLER, Target, TargetGroup, TargetState, TargetType};
pub(crate) use search::pause;
pub use search::{MANAGED, Search, Throttled, patiently};

/// A target group, and our targets in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The group.
    pub group: TargetGroup,
    /// Our targets in it, including draining ones.
    pub own: Vec<TargetState>,
    /// All its targets, as they were read.
    pub targets: Vec<TargetState>,
}

impl Membership {
    /// Reads the targets of the group.
    ///
    /// # Errors
    /// When the API does not answer, or refuses.
    pub async fn of(
        load_balancer: &LoadBalancer,
        identity: &Identity,
        group: TargetGroup,
    ) -> Result<Membership, CallError> {
        let targets = load_balancer.target_health(&group.arn).await?;
        let us = identity.own_ids(group.target_type);
        let own = targets.iter().filter(|state| us.include(&state.target.id)).cloned().collect();
        Ok(Membership { group, own, targets })
    }

    /// Our registrations, without those that are draining.
    pub fn pairs(&self) -> Vec<Target> {
        self.own.iter().filter(|state| state.is_registered()).map(|state| state.target.clone()).collect()
    }
}

/// Why our target groups could not be determined.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// The API did not answer, or refused.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The group is of an unsupported kind.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// A named group does not exist.
    #[error(
        "there is no target group {0} in this account and region; check the name, the region and the account"
    )]
    NoSuchGroup(String),
    /// This node is not in a group that was named.
    #[error("{node} is not registered in the target group {group}; register it first, or name another group")]
    NotAMember {
        /// This node.
        node: String,
        /// The group.
        group: String,
    },
    /// This node is in no managed group.
    #[error(
        "{0} is in no target group with the tag node-agent/managed=true; tag the group, or name it with --target-group"
    )]
    Nowhere(String),
    /// No group has the tag.
    #[error(
        "no target group in this account and region has the tag node-agent/managed=true; tag the group, or name it with \
         --target-group"
    )]
    NoneManaged,
}

impl MembershipError {
    /// A retry cannot help: a person has to change the name, the tags or the permissions.
    pub fn is_final(&self) -> bool {
        match self {
            MembershipError::Call(error) => error.is_final(),
            _ => true,
        }
    }
}

impl Throttled for MembershipError {
    fn is_throttled(&self) -> bool {
        matches!(self, MembershipError::Call(error) if error.is_throttled())
    }
}

/// Finds the named groups, or those that are tagged as managed and contain us, in the order of their ARNs: two nodes
/// in the same groups then never wait for each other.
///
/// # Errors
/// [`MembershipError`]; for named groups also when we are not in one of them.
pub async fn find(
    load_balancer: &LoadBalancer,
    identity: &Identity,
    search: &Search,
) -> Result<Vec<Membership>, MembershipError> {
    let node = || identity.instance_id.clone();
    let mut found =
        memberships(load_balancer, identity, groups_around(load_balancer, identity, search).await?).await?;
    let elsewhere = found.iter().find(|membership| membership.pairs().is_empty());
    if let Some(Membership { group, .. }) = elsewhere.filter(|_| !search.named().is_empty()) {
        return Err(MembershipError::NotAMember { node: node(), group: group.name.clone() });
    }
    found.retain(|membership| !membership.pairs().is_empty());
    if found.is_empty() { Err(MembershipError::Nowhere(node())) } else { Ok(found) }
}

/// Like [`find`], for a machine that is going down in any case: unsupported groups and groups without this node are left
/// out. Empty: no request can reach this node through any known group.
///
/// # Errors
/// When the API does not answer, or refuses.
pub async fn find_usable(
    load_balancer: &LoadBalancer,
    identity: &Identity,
    search: &Search,
) -> Result<Vec<Membership>, CallError> {
    let usable = |described: Result<_, Unsupported>| {
        described.inspect_err(|unsupported| tracing::warn!("{unsupported}; leaving the other groups")).ok()
    };
    let groups = those_that_exist(load_balancer, search).await?.into_iter().filter_map(usable).collect();
    let mut found = memberships(load_balancer, identity, groups).await?;
    found.retain(|membership| !membership.pairs().is_empty());
    let by_address = found.iter().filter(|membership| membership.group.target_type == TargetType::Ip);
    let arns: Vec<_> = by_address.map(|membership| membership.group.arn.clone()).collect();
    for (arn, tags) in load_balancer.tags(&arns).await? {
        if let Some(cluster) = tags.get(CONTROLLER) {
            // The addresses are those of pods.
            tracing::warn!("{arn} belongs to the Kubernetes cluster {cluster}; leaving the other groups");
            found.retain(|membership| membership.group.arn != arn);
        }
    }
    Ok(found)
}

/// The named groups without those that the API refuses to describe: one that was deleted fails the call for all.
async fn those_that_exist(
    load_balancer: &LoadBalancer,
    search: &Search,
) -> Result<Vec<Result<TargetGroup, Unsupported>>, CallError> {
    let refused = match search.described(load_balancer).await {
        Err(refused) if refused.is_final() && search.named().len() > 1 => refused,
        answer => return answer,
    };
    let mut found = Vec::new();
    for name in search.named() {
        match Search::of(std::slice::from_ref(name)).described(load_balancer).await {
            Ok(groups) => found.extend(groups),
            Err(error) if error.is_final() => tracing::warn!("{error}; leaving the other groups"),
            Err(error) => return Err(error),
        }
    }
    if found.is_empty() { Err(refused) } else { Ok(found) }
}

/// Our memberships in these groups.
///
/// # Errors
/// When the API does not answer, or refuses.
pub async fn memberships(
    load_balancer: &LoadBalancer,
    identity: &Identity,
    groups: Vec<TargetGroup>,
) -> Result<Vec<Membership>, CallError> {
    let mut found = Vec::new();
    for group in groups {
        found.push(Membership::of(load_balancer, identity, group).await?);
    }
    Ok(found)
}

/// The named groups, or all that are tagged as managed, with or without this node, in the order of their ARNs. Empty: no
/// group has the tag. A group of an unsupported kind that was not named is left out: it may be another team's.
///
/// # Errors
/// [`MembershipError`], also when a named group is of an unsupported kind.
pub async fn groups(
    load_balancer: &LoadBalancer,
    search: &Search,
) -> Result<Vec<TargetGroup>, MembershipError> {
    let (supported, others) = known(load_balancer, search).await?;
    for other in others {
        tracing::warn!("left out: {other}");
    }
    Ok(supported)
}

/// The groups that this program works with, and those of other kinds, which are an error if they were named.
async fn known(
    load_balancer: &LoadBalancer,
    search: &Search,
) -> Result<(Vec<TargetGroup>, Vec<Unsupported>), MembershipError> {
    let described = search.described(load_balancer).await?;
    let missing = search.named().iter().find(|name| !described.iter().any(|group| is_called(group, name)));
    if let Some(name) = missing {
        return Err(MembershipError::NoSuchGroup(name.clone()));
    }
    let (mut supported, mut others) = (Vec::new(), Vec::new());
    for group in described {
        match group {
            Ok(group) => supported.push(group),
            Err(other) if search.named().is_empty() => others.push(other),
            Err(other) => return Err(other.into()),
        }
    }
    Ok((supported, others))
}

/// Like [`groups`], for a node: a group of an unsupported kind that is tagged as managed and contains this node is an error.
/// Requests would still reach the node through it.
///
/// # Errors
/// As [`groups`].
pub async fn groups_around(
    load_balancer: &LoadBalancer,
    identity: &Identity,
    search: &Search,
) -> Result<Vec<TargetGroup>, MembershipError> {
    let (supported, others) = known(load_balancer, search).await?;
    // Its type may be unknown: by instance id or by address.
    let us = identity.own_ids(TargetType::Ip);
    for other in others {
        let targets = load_balancer.target_health(&other.arn).await?;
        if targets.iter().any(|state| us.include(&state.target.id)) {
            return Err(other.into());
        }
    }
    Ok(supported)
}

/// Like [`groups`], for a caller that needs at least one.
///
/// # Errors
/// As [`groups`], and [`MembershipError::NoneManaged`].
pub async fn at_least_one(
    load_balancer: &LoadBalancer,
    search: &Search,
) -> Result<Vec<TargetGroup>, MembershipError> {
    let groups = groups(load_balancer, search).await?;
    if groups.is_empty() { Err(MembershipError::NoneManaged) } else { Ok(groups) }
}

fn is_called(group: &Result<TargetGroup, Unsupported>, name: &str) -> bool {
    match group {
        Ok(group) => group.arn == name || group.name == name,
        Err(unsupported) => unsupported.arn == name || unsupported.name == name,
    }
}
