//! The capacity guard: whether the target group can spare this node. It counts instances in what was just read.

use crate::aws::target_group::{Attributes, OwnIds, TargetState, is_idle};
use crate::lease::Leases;
use crate::lease::policy::Policy;
use std::collections::{BTreeMap, BTreeSet};

/// What the guard counts: one read of a target group.
#[derive(Debug, Clone, Copy)]
pub struct GroupView<'a> {
    /// All registrations, with their health.
    pub targets: &'a [TargetState],
    /// The lease tags.
    pub leases: &'a Leases,
    /// The owner's policy.
    pub policy: &'a Policy,
    /// The target group's own limits.
    pub attributes: &'a Attributes,
}

/// Why the group cannot spare this node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Shortage {
    /// Too few other nodes.
    #[error("{}; not healthy: {unhealthy}", sentence(*counted, *count_as, place, *needed, why))]
    TooFew {
        /// How many other nodes count.
        counted: usize,
        /// What they are counted as.
        count_as: CountAs,
        /// ` in zone x`, or nothing.
        place: String,
        /// How many of them there must be.
        needed: usize,
        /// The rule that requires the most.
        why: &'static str,
        /// The nodes that are missing, for people.
        unhealthy: String,
    },
    /// Each zone needs enough nodes of its own, and the zones of the targets are not known.
    #[error(
        "cross-zone load balancing is off and the load balancer does not report the zones of its targets; \
         turn it on for this group, or accept the risk with --ignore-zones"
    )]
    ZonesUnknown,
}

/// What makes a node count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountAs {
    /// In service, or holding a lease.
    Standing,
    /// Healthy and without a lease.
    Staying,
    /// In service.
    InService,
}

/// `1 other node is healthy and holds no lease; 2 are required (...)`.
fn sentence(counted: usize, count_as: CountAs, place: &str, needed: usize, why: &str) -> String {
    let one = counted == 1;
    let (nodes, are) = if one { ("node", "is") } else { ("nodes", "are") };
    let what = match count_as {
        CountAs::Standing => format!("{are} in service or under maintenance"),
        CountAs::Staying => format!("{are} healthy and {} no lease", if one { "holds" } else { "hold" }),
        CountAs::InService => format!("{are} in service"),
    };
    let required = if needed == 1 { "is" } else { "are" };
    format!("{counted} other {nodes} {what}{place}; {needed} {required} required ({why})")
}

/// How strictly to count.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allowance {
    /// Taking the last node out is accepted (a group of one).
    pub empty: bool,
    /// Zones are not counted separately, even when cross-zone load balancing is off.
    pub ignore_zones: bool,
}

/// Whether this node may start a maintenance. Nodes that hold a lease count, so that a node in maintenance does not keep
/// others out of the queue.
///
/// # Errors
/// [`Shortage`] with the counts and the rule that requires the most.
pub fn may_begin(me: OwnIds<'_>, view: GroupView<'_>, allowance: Allowance) -> Result<(), Shortage> {
    let members = Members::of(me, view);
    let standing: Vec<_> = members.others.iter().filter(|m| m.in_service || m.holds).collect();
    members.enough(standing.len(), CountAs::Standing, members.floor(view, allowance))?;
    members.enough_in_zone(&standing, CountAs::Standing, view.attributes, allowance)
}

/// Whether this node may leave service now. It counts nodes that are healthy *and* hold no lease. With separate counts, one
/// missing node and one holder would both pass.
///
/// # Errors
/// [`Shortage`] with the counts and the rule that requires the most.
pub fn may_leave(me: OwnIds<'_>, view: GroupView<'_>, allowance: Allowance) -> Result<(), Shortage> {
    let members = Members::of(me, view);
    let staying: Vec<_> = members.others.iter().filter(|m| m.in_service && !m.holds).collect();
    members.enough(staying.len(), CountAs::Staying, members.floor(view, allowance))?;
    members.enough_in_zone(&staying, CountAs::Staying, view.attributes, allowance)
}

/// Whether enough other nodes are in service right after this node has left. Leases do not matter here: a claim that is
/// about to step down takes no node out.
///
/// # Errors
/// [`Shortage`] with the counts and the rule that requires the most.
pub fn enough_left(me: OwnIds<'_>, view: GroupView<'_>, allowance: Allowance) -> Result<(), Shortage> {
    let members = Members::of(me, view);
    let in_service = members.others.iter().filter(|m| m.in_service).count();
    members.enough(in_service, CountAs::InService, members.floor(view, allowance))
}

/// The instances of the group: a node with two ports is one instance, and healthy only when both ports are.
struct Members<'a> {
    others: Vec<Member<'a>>,
    my_zone: Option<String>,
    fleet_size: usize,
}

struct Member<'a> {
    id: &'a str,
    zone: Option<String>,
    listed: bool,
    /// Healthy, and its zone is not shifted away; or the group is idle.
    in_service: bool,
    /// The zonal shift that keeps it from traffic.
    shifted: Option<String>,
    holds: bool,
    /// The state and reason of a target that is no capacity.
    state: Option<String>,
}

impl<'a> Members<'a> {
    fn of(me: OwnIds<'_>, view: GroupView<'a>) -> Members<'a> {
        let mut listed: BTreeMap<&str, Vec<&TargetState>> = BTreeMap::new();
        for state in view.targets.iter().filter(|state| !state.is_not_registered()) {
            listed.entry(&state.target.id).or_default().push(state);
        }
        // Nothing serves in a group that no load balancer uses. Its nodes still go by turns: any of them may be needed soon.
        let idle = is_idle(view.targets);
        let is_capacity = |pair: &TargetState| pair.is_capacity() || idle && pair.is_not_in_use();
        let holders: BTreeSet<&str> = view.leases.holders().collect();
        let zone_of = |pairs: &[&TargetState]| pairs.iter().find_map(|pair| pair.zone.clone());
        let ids: BTreeSet<&str> = listed.keys().copied().chain(holders.iter().copied()).collect();
        let (mine, others): (BTreeSet<&str>, BTreeSet<&str>) = ids.into_iter().partition(|id| me.include(id));
        let member = |id| {
            let pairs = listed.get(id).map(Vec::as_slice).unwrap_or_default();
            Member {
                id,
                zone: zone_of(pairs),
                listed: !pairs.is_empty(),
                in_service: !pairs.is_empty() && pairs.iter().all(|pair| is_capacity(pair)),
                shifted: pairs.iter().find_map(|pair| pair.administrative_override.clone()),
                holds: holders.contains(id),
                state: pairs.iter().find(|pair| !is_capacity(pair)).map(ToString::to_string),
            }
        };
        let others: Vec<_> = others.into_iter().map(member).collect();
        Members {
            my_zone: mine.iter().find_map(|id| zone_of(listed.get(id)?)),
            // This node is one, with however many addresses.
            fleet_size: view.policy.fleet_size.map_or(others.len() + 1, |size| size as usize),
            others,
        }
    }

    /// How many other nodes are required, and the rule that requires the most.
    fn floor(&self, view: GroupView<'_>, allowance: Allowance) -> (usize, &'static str) {
        let percent = view.attributes.minimum_healthy_percent as usize;
        let load_balancer =
            (view.attributes.minimum_healthy_count as usize).max((self.others.len() * percent).div_ceil(100));
        let mut floors = vec![
            (
                self.fleet_size.saturating_sub(view.policy.max_unavailable as usize),
                "fleet size minus max-unavailable",
            ),
            (view.policy.min_healthy as usize, "the tag node-agent/min-healthy"),
        ];
        if !allowance.empty {
            floors.push((load_balancer, "the target group's own minimum of healthy targets"));
            floors.push((1, "no node would be left in service; --allow-empty permits that"));
        }
        floors.into_iter().max_by_key(|(floor, _)| *floor).unwrap_or_default()
    }

    fn enough(
        &self,
        counted: usize,
        count_as: CountAs,
        floor: (usize, &'static str),
    ) -> Result<(), Shortage> {
        if counted >= floor.0 { Ok(()) } else { Err(self.too_few(counted, count_as, String::new(), floor)) }
    }

    /// With cross-zone load balancing off, each zone needs enough nodes of its own. The zone of a node that is not listed
    /// is not known: it may be this one.
    fn enough_in_zone(
        &self,
        counted: &[&Member<'_>],
        count_as: CountAs,
        attributes: &Attributes,
        allowance: Allowance,
    ) -> Result<(), Shortage> {
        if attributes.cross_zone || allowance.ignore_zones || allowance.empty {
            return Ok(());
        }
        let Some(zone) = self.my_zone.as_deref() else { return Err(Shortage::ZonesUnknown) };
        if self.others.iter().any(|m| m.listed && m.zone.is_none()) {
            return Err(Shortage::ZonesUnknown);
        }
        let here = counted.iter().filter(|m| m.zone.as_deref().is_none_or(|other| other == zone)).count();
        let needed = 1.max(attributes.minimum_healthy_count as usize);
        if here >= needed {
            return Ok(());
        }
        let why = "cross-zone load balancing is off, so each zone needs its own nodes";
        Err(self.too_few(here, count_as, format!(" in zone {zone}"), (needed, why)))
    }

    fn too_few(
        &self,
        counted: usize,
        count_as: CountAs,
        place: String,
        floor: (usize, &'static str),
    ) -> Shortage {
        let (needed, why) = floor;
        Shortage::TooFew { counted, count_as, place, needed, why, unhealthy: self.missing() }
    }

    /// The nodes that are not healthy, for people.
    fn missing(&self) -> String {
        let ids: Vec<_> = self
            .others
            .iter()
            .filter(|m| !m.in_service)
            .map(|m| match &m.shifted {
                Some(shift) => format!("{} ({shift})", m.id),
                None if m.holds => format!("{} (holds a lease)", m.id),
                None => {
                    m.state.as_ref().map_or_else(|| m.id.to_owned(), |state| format!("{} is {state}", m.id))
                }
            })
            .collect();
        if ids.is_empty() { "none of the registered nodes".to_owned() } else { ids.join(", ") }
    }
}

#[cfg(test)]
mod tests;
