//! One target group as a decision sees it: policy, leases and target health, read together.

use crate::guard::{self, Allowance, GroupView};
use crate::identity::Identity;
use crate::lease::Leases;
use crate::load_balancer::{CallError, LoadBalancer};
use crate::membership::own;
use crate::policy::{BadPolicy, Policy};
use crate::settings::Settings;
use crate::target_group::{Attributes, TargetHealth, TargetState, TargetType};
use std::collections::BTreeMap;

/// What was read.
#[derive(Debug, Clone)]
pub struct GroupReading {
    /// The load balancer's own settings.
    pub attributes: Attributes,
    /// The owner's policy, if it can be understood.
    pub policy: Result<Policy, BadPolicy>,
    /// All lease tags.
    pub leases: Leases,
    /// How many tags the group has, whosever they are.
    pub tags: usize,
    /// All registrations.
    pub targets: Vec<TargetState>,
}

/// Why a node may not begin or leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not now.
    #[error("{0}")]
    NotNow(String),
    /// Not before a person has done something.
    #[error("{0}")]
    Stopped(String),
    /// Not with this policy.
    #[error(transparent)]
    Policy(#[from] BadPolicy),
}

impl GroupReading {
    /// Reads a group: first what changes seldom, health last.
    ///
    /// # Errors
    /// The first call that failed.
    pub async fn read(load_balancer: &LoadBalancer, arn: &str) -> Result<GroupReading, CallError> {
        let attributes = load_balancer.attributes(arn).await?;
        GroupReading::read_with(load_balancer, arn, attributes).await
    }

    /// Reads a group whose attributes are known.
    ///
    /// # Errors
    /// The first call that failed.
    pub async fn read_with(
        load_balancer: &LoadBalancer,
        arn: &str,
        attributes: Attributes,
    ) -> Result<GroupReading, CallError> {
        let tags = load_balancer.tags(&[arn.to_owned()]).await?.remove(arn).unwrap_or_default();
        let targets = load_balancer.target_health(arn).await?;
        Ok(GroupReading::of(attributes, &tags, targets))
    }

    /// Puts together what was read.
    pub fn of(
        attributes: Attributes,
        tags: &BTreeMap<String, String>,
        targets: Vec<TargetState>,
    ) -> GroupReading {
        let (policy, leases) = (Policy::from_tags(tags), Leases::from_tags(tags));
        GroupReading { attributes, policy, leases, tags: tags.len(), targets }
    }

    /// The group as the guard counts it.
    pub(crate) fn view<'a>(&'a self, policy: &'a Policy) -> GroupView<'a> {
        GroupView { targets: &self.targets, leases: &self.leases, policy, attributes: &self.attributes }
    }

    /// Why not to begin now: before anything is claimed.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn may_begin(
        &self,
        identity: &Identity,
        kind: TargetType,
        settings: &Settings,
    ) -> Result<(), Refusal> {
        let policy = self.policy.as_ref().map_err(BadPolicy::clone)?;
        self.leases
            .may_start(&identity.instance_id, policy)
            .map_err(|why| Refusal::Stopped(why.to_string()))?;
        self.is_well(identity, kind, settings.repair)?;
        guard::may_begin(identity.target_id(kind), self.view(policy), allowance(settings))
            .map_err(|why| Refusal::NotNow(why.to_string()))
    }

    /// Why not to leave now, with our own claim standing.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn may_leave(
        &self,
        identity: &Identity,
        kind: TargetType,
        settings: &Settings,
    ) -> Result<(), Refusal> {
        let policy = self.policy.as_ref().map_err(BadPolicy::clone)?;
        guard::may_leave(identity.target_id(kind), self.view(policy), allowance(settings))
            .map_err(|why| Refusal::NotNow(why.to_string()))
    }

    /// Why to come back at once, right after we left.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn enough_left(
        &self,
        identity: &Identity,
        kind: TargetType,
        settings: &Settings,
    ) -> Result<(), Refusal> {
        let policy = self.policy.as_ref().map_err(BadPolicy::clone)?;
        guard::enough_left(identity.target_id(kind), self.view(policy), allowance(settings))
            .map_err(|why| Refusal::NotNow(why.to_string()))
    }

    /// Whether we are healthy ourselves; `repair` waives it.
    fn is_well(&self, identity: &Identity, kind: TargetType, repair: bool) -> Result<(), Refusal> {
        let sick = own(identity, kind, &self.targets).find(|state| state.health != TargetHealth::Healthy);
        match sick.filter(|_| !repair) {
            None => Ok(()),
            Some(sick) => Err(Refusal::NotNow(format!(
                "this node is {sick} itself; repair it first, or take it out all the same with --repair"
            ))),
        }
    }
}

fn allowance(settings: &Settings) -> Allowance {
    Allowance { empty: settings.allow_empty, ignore_zones: settings.ignore_zones }
}
