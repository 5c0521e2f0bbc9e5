//! Can the target group spare us? Pure counting, by instance, on what was just read.

use crate::lease::Leases;
use crate::policy::Policy;
use crate::target_group::{Attributes, TargetHealth, TargetState};
use std::collections::{BTreeMap, BTreeSet};

/// What the guard counts: one target group at one moment.
#[derive(Debug, Clone, Copy)]
pub struct GroupView<'a> {
    /// All registrations, with their health.
    pub targets: &'a [TargetState],
    /// The lease tags.
    pub leases: &'a Leases,
    /// The owner's policy.
    pub policy: &'a Policy,
    /// The load balancer's own limits.
    pub attributes: &'a Attributes,
}

/// Why the group cannot spare us.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Shortage {
    /// Too few other nodes.
    #[error(
        "only {counted} other nodes {count_as}{place}, {needed} are needed ({why}); not healthy: {unhealthy}"
    )]
    TooFew {
        /// Other nodes that count.
        counted: usize,
        /// As what.
        count_as: &'static str,
        /// ` in zone x`, or nothing.
        place: String,
        /// How many of them there must be.
        needed: usize,
        /// The rule that asks for the most.
        why: &'static str,
        /// Those that are missing, for people.
        unhealthy: String,
    },
    /// Each zone has to stand alone and we cannot see which target is in which.
    #[error(
        "cross-zone load balancing is off and the load balancer does not tell the zones of its targets; \
         turn it on for this group, or accept the risk with --ignore-zones"
    )]
    ZonesUnknown,
}

/// How strictly to count.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allowance {
    /// Taking the last node out is accepted (a group of one).
    pub empty: bool,
    /// Zones are not counted, even when cross-zone load balancing is off.
    pub ignore_zones: bool,
}

/// May we begin? Nodes that hold a lease count as standing, so that those who wait are not blocked by the one
/// that is rightly out.
///
/// # Errors
/// [`Shortage`] with the counts and the rule that asks for the most.
pub fn may_begin(me: &str, view: GroupView<'_>, allowance: Allowance) -> Result<(), Shortage> {
    let members = Members::of(me, view);
    let standing = members.others.iter().filter(|m| m.healthy || m.holds).count();
    members.enough(standing, "are in service or being maintained", members.floor(view, allowance))
}

/// May we leave right now? One combined count of nodes that are healthy and hold nothing: tested apart, one
/// unexplained absence and one holder would both pass.
///
/// # Errors
/// [`Shortage`] with the counts and the rule that asks for the most.
pub fn may_leave(me: &str, view: GroupView<'_>, allowance: Allowance) -> Result<(), Shortage> {
    let members = Members::of(me, view);
    let staying: Vec<_> = members.others.iter().filter(|m| m.healthy && !m.holds).collect();
    members.enough(staying.len(), STAYING, members.floor(view, allowance))?;
    if view.attributes.cross_zone || allowance.ignore_zones || allowance.empty {
        return Ok(());
    }
    let Some(zone) = members.my_zone.as_deref() else { return Err(Shortage::ZonesUnknown) };
    if members.others.iter().any(|m| m.listed && m.zone.is_none()) {
        return Err(Shortage::ZonesUnknown);
    }
    let here = staying.iter().filter(|m| m.zone.as_deref() == Some(zone)).count();
    let needed = 1.max(view.attributes.minimum_healthy_count as usize);
    if here >= needed {
        return Ok(());
    }
    let why = "each zone stands alone when cross-zone load balancing is off";
    Err(members.too_few(here, STAYING, format!(" in zone {zone}"), (needed, why)))
}

/// We have just left: are enough others in service? Leases do not count here: a claim that is about to step down takes
/// nobody out.
///
/// # Errors
/// [`Shortage`] with the counts and the rule that asks for the most.
pub fn enough_left(me: &str, view: GroupView<'_>, allowance: Allowance) -> Result<(), Shortage> {
    let members = Members::of(me, view);
    let healthy = members.others.iter().filter(|m| m.healthy).count();
    members.enough(healthy, "are in service", members.floor(view, allowance))
}

const STAYING: &str = "are healthy and hold no lease";

/// The group seen as instances: a node with two ports is one node, and healthy only when both are.
struct Members<'a> {
    others: Vec<Member<'a>>,
    my_zone: Option<String>,
    fleet_size: usize,
}

struct Member<'a> {
    id: &'a str,
    zone: Option<String>,
    listed: bool,
    healthy: bool,
    holds: bool,
}

impl<'a> Members<'a> {
    fn of(me: &str, view: GroupView<'a>) -> Members<'a> {
        let mut listed: BTreeMap<&str, Vec<&TargetState>> = BTreeMap::new();
        for state in view.targets.iter().filter(|state| !state.is_not_registered()) {
            listed.entry(&state.target.id).or_default().push(state);
        }
        let holders: BTreeSet<&str> = view.leases.holders().collect();
        let zone_of = |pairs: &[&TargetState]| pairs.iter().find_map(|pair| pair.zone.clone());
        let ids: BTreeSet<&str> = listed.keys().copied().chain(holders.iter().copied()).collect();
        let counted = ids.len() + usize::from(!ids.contains(me));
        let member = |id| {
            let pairs = listed.get(id).map(Vec::as_slice).unwrap_or_default();
            Member {
                id,
                zone: zone_of(pairs),
                listed: !pairs.is_empty(),
                healthy: !pairs.is_empty() && pairs.iter().all(|p| p.health == TargetHealth::Healthy),
                holds: holders.contains(id),
            }
        };
        Members {
            others: ids.into_iter().filter(|id| *id != me).map(member).collect(),
            my_zone: listed.get(me).and_then(|pairs| zone_of(pairs)),
            fleet_size: view.policy.fleet_size.map_or(counted, |size| size as usize),
        }
    }

    /// How many others there must be, and the rule that asks for the most.
    fn floor(&self, view: GroupView<'_>, allowance: Allowance) -> (usize, &'static str) {
        let percent = view.attributes.minimum_healthy_percent as usize;
        let load_balancer =
            (view.attributes.minimum_healthy_count as usize).max((self.others.len() * percent).div_ceil(100));
        let mut floors = vec![
            (
                self.fleet_size.saturating_sub(view.policy.max_unavailable as usize),
                "the fleet less node-agent/max-unavailable",
            ),
            (view.policy.min_healthy as usize, "the tag node-agent/min-healthy"),
        ];
        if !allowance.empty {
            floors.push((load_balancer, "the target group's own minimum of healthy targets"));
            floors.push((1, "somebody has to serve; --allow-empty lifts this"));
        }
        floors.into_iter().max_by_key(|(floor, _)| *floor).unwrap_or_default()
    }

    fn enough(
        &self,
        counted: usize,
        count_as: &'static str,
        floor: (usize, &'static str),
    ) -> Result<(), Shortage> {
        if counted >= floor.0 { Ok(()) } else { Err(self.too_few(counted, count_as, String::new(), floor)) }
    }

    fn too_few(
        &self,
        counted: usize,
        count_as: &'static str,
        place: String,
        floor: (usize, &'static str),
    ) -> Shortage {
        let (needed, why) = floor;
        Shortage::TooFew { counted, count_as, place, needed, why, unhealthy: self.missing() }
    }

    /// Who is missing, for people.
    fn missing(&self) -> String {
        let ids: Vec<_> = self
            .others
            .iter()
            .filter(|m| !m.healthy)
            .map(|m| if m.holds { format!("{} (holds a lease)", m.id) } else { m.id.to_owned() })
            .collect();
        if ids.is_empty() { "none of those registered".to_owned() } else { ids.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target_group::Target;

    /// A group that reads as a sentence: `group().healthy("a").unhealthy("b").holding("c")`.
    #[derive(Default)]
    struct Group {
        targets: Vec<TargetState>,
        tags: BTreeMap<String, String>,
        policy: Policy,
        attributes: Attributes,
        allowance: Allowance,
    }

    fn group() -> Group {
        Group { attributes: Attributes { cross_zone: true, ..Attributes::default() }, ..Group::default() }
    }

    impl Group {
        fn target(mut self, id: &str, port: u16, health: TargetHealth) -> Group {
            let target = Target { id: id.into(), port };
            self.targets.push(TargetState { target, zone: None, health, reason: String::new() });
            self
        }
        fn healthy(self, ids: &[&str]) -> Group {
            ids.iter().fold(self, |group, id| group.target(id, 80, TargetHealth::Healthy))
        }
        fn unhealthy(self, id: &str) -> Group {
            self.target(id, 80, TargetHealth::Unhealthy)
        }
        fn holding(mut self, id: &str) -> Group {
            self.tags.insert(format!("node-agent/lease/{id}"), "v1 p=held e=1 k=1".into());
            self
        }
        fn zones(mut self, zones: &[&str]) -> Group {
            for (state, zone) in self.targets.iter_mut().zip(zones) {
                state.zone = Some((*zone).to_owned());
            }
            self.attributes.cross_zone = false;
            self
        }
        fn with(mut self, change: impl FnOnce(&mut Group)) -> Group {
            change(&mut self);
            self
        }
        fn begin(&self) -> Result<(), Shortage> {
            self.ask(|view| may_begin("me", view, self.allowance))
        }
        fn leave(&self) -> Result<(), Shortage> {
            self.ask(|view| may_leave("me", view, self.allowance))
        }
        fn ask(&self, question: impl Fn(GroupView<'_>) -> Result<(), Shortage>) -> Result<(), Shortage> {
            let leases = Leases::from_tags(&self.tags);
            question(GroupView {
                targets: &self.targets,
                leases: &leases,
                policy: &self.policy,
                attributes: &self.attributes,
            })
        }
    }

    #[test]
    fn a_healthy_group_of_three_spares_one() {
        let group = group().healthy(&["me", "a", "b"]);
        assert_eq!(group.begin(), Ok(()));
        assert_eq!(group.leave(), Ok(()));
    }

    #[test]
    fn an_unhealthy_neighbour_blocks_both_and_is_named() {
        let group = group().healthy(&["me", "a"]).unhealthy("b");
        let message = group.begin().unwrap_err().to_string();
        assert!(message.contains("only 1 other nodes") && message.ends_with("not healthy: b"), "{message}");
        assert!(group.leave().is_err());
    }

    #[test]
    fn a_holder_that_is_out_lets_others_wait_but_not_leave() {
        let group = group().healthy(&["me", "a"]).holding("b");
        assert_eq!(group.begin(), Ok(()));
        assert!(matches!(group.leave(), Err(Shortage::TooFew { counted: 1, needed: 2, .. })));
    }

    #[test]
    fn after_leaving_only_health_counts_not_a_claim_that_will_step_down() {
        let left = |group: &Group| group.ask(|view| enough_left("me", view, group.allowance));
        assert_eq!(left(&group().healthy(&["a", "b"]).holding("me").holding("b")), Ok(()));
        assert!(left(&group().healthy(&["a"]).unhealthy("b").holding("me")).is_err());
    }

    #[test]
    fn an_absence_and_a_holder_together_are_too_many_for_two() {
        let group = group().healthy(&["me", "a", "b"]).holding("b").with(|g| {
            g.policy.fleet_size = Some(4);
            g.policy.max_unavailable = 2;
        });
        assert!(matches!(group.leave(), Err(Shortage::TooFew { counted: 1, needed: 2, .. })));
    }

    #[test]
    fn a_group_of_one_needs_allow_empty() {
        let alone = group().healthy(&["me"]);
        assert!(matches!(alone.begin(), Err(Shortage::TooFew { needed: 1, .. })));
        assert_eq!(alone.with(|g| g.allowance.empty = true).leave(), Ok(()));
    }

    #[test]
    fn the_highest_floor_wins_and_is_named() {
        let five = || group().healthy(&["me", "a", "b", "c", "d"]);
        let with = |change: fn(&mut Group)| {
            five().unhealthy("e").with(|g| {
                g.policy.max_unavailable = 4;
                change(g);
            })
        };
        assert_eq!(with(|_| ()).leave(), Ok(()));
        let why = |group: Group| match group.leave() {
            Err(Shortage::TooFew { why, .. }) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(why(with(|g| g.policy.min_healthy = 5)), "the tag node-agent/min-healthy");
        let own = "the target group's own minimum of healthy targets";
        assert_eq!(why(with(|g| g.attributes.minimum_healthy_count = 5)), own);
        assert_eq!(why(with(|g| g.attributes.minimum_healthy_percent = 90)), own);
    }

    #[test]
    fn a_node_with_one_bad_port_is_not_healthy() {
        let group = group().healthy(&["me", "a", "b"]).target("b", 81, TargetHealth::Initial);
        assert!(group.leave().is_err());
    }

    #[test]
    fn with_cross_zone_off_each_zone_stands_alone() {
        let three = || group().healthy(&["me", "a", "b"]);
        assert_eq!(three().zones(&["1a", "1a", "1b"]).leave(), Ok(()));
        let message = three().zones(&["1a", "1b", "1b"]).leave().unwrap_err().to_string();
        assert!(message.contains("only 0 other nodes are healthy and hold no lease in zone 1a"), "{message}");
        assert_eq!(three().with(|g| g.attributes.cross_zone = false).leave(), Err(Shortage::ZonesUnknown));
        let ignoring = three().with(|g| {
            g.attributes.cross_zone = false;
            g.allowance.ignore_zones = true;
        });
        assert_eq!(ignoring.leave(), Ok(()));
    }

    #[test]
    fn a_state_from_the_future_is_not_healthy() {
        let group = group().healthy(&["me", "a"]).target("b", 80, TargetHealth::Unknown);
        assert!(group.leave().is_err());
    }
}
