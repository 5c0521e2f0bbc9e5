//! One read of a target group: policy, leases and target health.

use crate::aws::target_group::{Attributes, CONTROLLER, OwnIds, TargetHealth, TargetState};
use crate::lease::Leases;
use crate::lease::capacity::{self, Allowance, GroupView, Shortage};
use crate::lease::policy::{BadPolicy, Policy};
use crate::lease::tag;
use crate::settings::Settings;
use std::collections::BTreeMap;

/// One read of a target group.
#[derive(Debug, Clone)]
pub struct GroupSnapshot {
    /// The load balancer's own settings.
    pub attributes: Attributes,
    /// The owner's policy, if it can be understood.
    pub policy: Result<Policy, BadPolicy>,
    /// All lease tags.
    pub leases: Leases,
    /// The keys of all lease tags.
    pub lease_keys: Vec<String>,
    /// How many tags the group has, including others' tags.
    pub tags: usize,
    /// All registrations.
    pub targets: Vec<TargetState>,
    /// The Kubernetes cluster whose controller registers the targets.
    pub cluster: Option<String>,
}

/// Why a node may not start or leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not now.
    #[error("{0}")]
    NotNow(String),
    /// Not until a person acts.
    #[error("{0}")]
    Stopped(String),
    /// Not with this policy.
    #[error(transparent)]
    Policy(#[from] BadPolicy),
    /// Not with this configuration of the target group.
    #[error("{0}")]
    Misconfigured(Shortage),
    /// The group's targets are not ours to move.
    #[error(
        "the targets belong to the Kubernetes cluster {0} (tag {CONTROLLER}): its controller registers them again; use \
         `kubectl drain` for such a node"
    )]
    Controlled(String),
}

impl From<Shortage> for Refusal {
    fn from(shortage: Shortage) -> Refusal {
        match shortage {
            Shortage::TooFew { .. } => Refusal::NotNow(shortage.to_string()),
            // Waiting does not change it.
            Shortage::ZonesUnknown => Refusal::Misconfigured(shortage),
        }
    }
}

impl GroupSnapshot {
    /// Puts together what was read.
    pub fn of(
        attributes: Attributes,
        tags: &BTreeMap<String, String>,
        targets: Vec<TargetState>,
    ) -> GroupSnapshot {
        let (policy, leases) = (Policy::from_tags(tags), Leases::from_tags(tags));
        let cluster = tags.get(CONTROLLER).cloned();
        let lease_keys = tags.keys().filter(|key| tag::owner(key).is_some()).cloned().collect();
        GroupSnapshot { attributes, policy, leases, lease_keys, tags: tags.len(), targets, cluster }
    }

    /// The group as the guard counts it.
    pub(crate) fn view<'a>(&'a self, policy: &'a Policy) -> GroupView<'a> {
        GroupView { targets: &self.targets, leases: &self.leases, policy, attributes: &self.attributes }
    }

    /// Whether this node may start, before it claims a slot.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn may_begin(&self, us: OwnIds<'_>, settings: &Settings) -> Result<(), Refusal> {
        let policy = self.policy.as_ref().map_err(BadPolicy::clone)?;
        if let Some(cluster) = &self.cluster {
            return Err(Refusal::Controlled(cluster.clone()));
        }
        self.leases.may_start(us.instance, policy).map_err(|why| Refusal::Stopped(why.to_string()))?;
        self.check_own_health(us, settings.repair)?;
        Ok(capacity::may_begin(us, self.view(policy), allowance(settings))?)
    }

    /// Whether this node may leave now, with its claim confirmed.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn may_leave(&self, us: OwnIds<'_>, settings: &Settings) -> Result<(), Refusal> {
        let policy = self.policy.as_ref().map_err(BadPolicy::clone)?;
        Ok(capacity::may_leave(us, self.view(policy), allowance(settings))?)
    }

    /// Whether this node may stay out, right after it left.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn enough_left(&self, us: OwnIds<'_>, settings: &Settings) -> Result<(), Refusal> {
        let policy = self.policy.as_ref().map_err(BadPolicy::clone)?;
        Ok(capacity::enough_left(us, self.view(policy), allowance(settings))?)
    }

    /// Whether this node is healthy itself; `repair` skips the check.
    fn check_own_health(&self, us: OwnIds<'_>, repair: bool) -> Result<(), Refusal> {
        // Nobody checks the health of a target that is not in use.
        let fine = |state: &TargetState| state.health == TargetHealth::Healthy || state.is_not_in_use();
        let sick = us.registered(&self.targets).find(|state| !fine(state));
        match sick.filter(|_| !repair) {
            None => Ok(()),
            Some(sick) => Err(Refusal::NotNow(format!(
                "this node is {sick} itself; repair it first, or take it out with --repair"
            ))),
        }
    }
}

fn allowance(settings: &Settings) -> Allowance {
    Allowance { empty: settings.allow_empty, ignore_zones: settings.ignore_zones }
}
