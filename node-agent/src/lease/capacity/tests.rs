//! Which nodes may start and leave, in groups built for each test.

use super::*;
use crate::aws::target_group::{Target, TargetHealth};

/// This node.
const ME: OwnIds<'_> = OwnIds { instance: "me", addresses: &[] };

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
        let target = Target::new(id, port);
        let (zone, reason, administrative_override) = (None, String::new(), None);
        self.targets.push(TargetState { target, zone, health, reason, administrative_override });
        self
    }
    fn healthy(self, ids: &[&str]) -> Group {
        ids.iter().fold(self, |group, id| group.target(id, 80, TargetHealth::Healthy))
    }
    fn unhealthy(self, id: &str) -> Group {
        self.target(id, 80, TargetHealth::Unhealthy)
    }
    fn not_in_use(self, ids: &[&str]) -> Group {
        let unused = |group: Group, id: &&str| group.target(id, 80, TargetHealth::Unused);
        let mut group = ids.iter().fold(self, unused);
        for target in group.targets.iter_mut().filter(|target| target.health == TargetHealth::Unused) {
            target.reason = "Target.NotInUse".to_owned();
        }
        group
    }
    fn shifted(mut self, id: &str, state: &str) -> Group {
        for target in self.targets.iter_mut().filter(|target| target.target.id == id) {
            target.administrative_override = Some(state.to_owned());
        }
        self
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
        self.ask(|view| may_begin(ME, view, self.allowance))
    }
    fn leave(&self) -> Result<(), Shortage> {
        self.ask(|view| may_leave(ME, view, self.allowance))
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
    assert_eq!(
        message,
        "1 other node is in service or under maintenance; 2 are required (fleet size minus max-unavailable); not healthy: b is unhealthy"
    );
    assert!(group.leave().is_err());
}

#[test]
fn a_neighbour_that_is_out_for_its_maintenance_is_named_as_such() {
    let group = group().healthy(&["me"]).holding("a").unhealthy("a").unhealthy("b");
    let message = group.leave().unwrap_err().to_string();
    assert!(message.contains("a (holds a lease), b is unhealthy"), "{message}");
}

#[test]
fn in_a_group_that_nobody_uses_nodes_go_by_turns() {
    let idle = group().not_in_use(&["me", "a", "b"]);
    assert_eq!((idle.begin(), idle.leave()), (Ok(()), Ok(())));
    let one_is_out = group().not_in_use(&["me", "a"]).holding("b");
    assert_eq!(one_is_out.begin(), Ok(()));
    assert!(one_is_out.leave().is_err());
}

#[test]
fn a_target_that_nobody_uses_is_no_capacity_of_a_group_in_use() {
    let half = group().healthy(&["me", "a"]).not_in_use(&["b"]);
    let message = half.begin().unwrap_err().to_string();
    assert!(message.contains("not healthy: b is unused (Target.NotInUse)"), "{message}");
}

#[test]
fn while_a_holder_is_out_others_may_wait_but_not_leave() {
    let group = group().healthy(&["me", "a"]).holding("b");
    assert_eq!(group.begin(), Ok(()));
    assert!(matches!(group.leave(), Err(Shortage::TooFew { counted: 1, needed: 2, .. })));
}

#[test]
fn after_leaving_only_health_counts_and_leases_do_not() {
    let left = |group: &Group| group.ask(|view| enough_left(ME, view, group.allowance));
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
fn the_highest_requirement_applies_and_is_named() {
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
fn with_cross_zone_off_each_zone_needs_its_own_nodes() {
    let three = || group().healthy(&["me", "a", "b"]);
    assert_eq!(three().zones(&["1a", "1a", "1b"]).leave(), Ok(()));
    let message = three().zones(&["1a", "1b", "1b"]).leave().unwrap_err().to_string();
    let few = "0 other nodes are healthy and hold no lease in zone 1a; 1 is required (";
    assert!(message.starts_with(few), "{message}");
    let unknown = three().with(|g| g.attributes.cross_zone = false);
    assert_eq!(unknown.begin(), Err(Shortage::ZonesUnknown));
    assert_eq!(unknown.leave(), Err(Shortage::ZonesUnknown));
    let ignoring = three().with(|g| {
        g.attributes.cross_zone = false;
        g.allowance.ignore_zones = true;
    });
    assert_eq!(ignoring.leave(), Ok(()));
}

#[test]
fn an_unknown_state_is_not_healthy() {
    let group = group().healthy(&["me", "a"]).target("b", 80, TargetHealth::Unknown);
    assert!(group.leave().is_err());
}

#[test]
fn a_node_that_would_empty_its_zone_does_not_begin() {
    let three = || group().healthy(&["me", "a", "b"]);
    assert_eq!(three().zones(&["1a", "1a", "1b"]).begin(), Ok(()));
    let message = three().zones(&["1a", "1b", "1b"]).begin().unwrap_err().to_string();
    let few = "0 other nodes are in service or under maintenance in zone 1a; 1 is required (";
    assert!(message.starts_with(few), "{message}");
    // A holder that is out may be in any zone: it keeps nobody from waiting for it.
    let waiting = group().healthy(&["me", "b"]).holding("a").with(|g| g.policy.max_unavailable = 2);
    let waiting = waiting.zones(&["1a", "1b"]);
    assert_eq!(waiting.begin(), Ok(()));
    assert!(waiting.leave().is_err());
}

#[test]
fn a_node_whose_zone_is_shifted_away_is_no_capacity_and_is_named() {
    for state in ["zonal_shift_active", "zonal_shift_delegated_to_dns"] {
        let shifted = group().healthy(&["me", "a", "b"]).shifted("b", state);
        let message = shifted.begin().unwrap_err().to_string();
        assert!(message.ends_with(&format!("not healthy: b ({state})")), "{message}");
        assert!(shifted.leave().is_err());
    }
    // Its own zone being shifted away is no reason to stay.
    let own = group().healthy(&["me", "a", "b"]).shifted("me", "zonal_shift_active");
    assert_eq!((own.begin(), own.leave()), (Ok(()), Ok(())));
}
