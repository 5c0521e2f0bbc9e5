//! What an operator may do to a lease tag, decided on tags just read, without I/O.

use super::{LeaseState, LeaseTag, Reading, tag};
use crate::aws::target_group::TargetState;
use std::collections::BTreeMap;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// The tags of one target group, by key.
pub type Tags = BTreeMap<String, String>;

/// A lease tag and the exact key it was found under: with `lease_role_id` a role id stands in front of the instance id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The whole key.
    pub key: String,
    /// Its value.
    pub reading: Reading,
}

/// Why a lease is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is nothing to break.
    #[error("{id} is {state} and uses no slot, so there is nothing to break; {advice}")]
    TakesNoSlot {
        /// The instance.
        id: String,
        /// What it is doing.
        state: LeaseState,
        /// What to do instead.
        advice: &'static str,
    },
    /// Two breaks within the staleness of a read may let one node too many leave.
    #[error(
        "the lease of {0} is already broken, and only one lease may be broken at a time; bring {0} back with \
         `node-agent resume` there, or, once it is terminated, run `node-agent lease gc {0}`; then try again"
    )]
    OneAtATime(String),
    /// It takes a slot: removing the tag could let one node too many leave.
    #[error(
        "{id} is {what} and uses a slot; if its agent runs, run `node-agent resume` there; if its agent is stopped for \
         good, run `node-agent lease break {id}`; if the instance is terminated, run `node-agent lease gc {id}`"
    )]
    TakesSlot {
        /// The instance.
        id: String,
        /// `held`, `halted` or `unreadable`.
        what: &'static str,
    },
    /// It is in the queue: its agent removes it.
    #[error(
        "{0} waits in the queue and uses no slot; its agent removes the tag, and other nodes skip it once it has not \
         changed for 6 minutes; if the instance is terminated, run `node-agent lease gc {0}`"
    )]
    Waits(String),
    /// It has a target in the group.
    #[error(
        "{id} is {state} in this group, so it is not terminated; wait for its agent, or see `node-agent lease break`"
    )]
    Registered {
        /// The instance.
        id: String,
        /// The health of its target.
        state: String,
    },
}

impl Refused {
    /// The instance, if the reason is that it is registered.
    pub fn registered(&self) -> Option<&str> {
        match self {
            Refused::Registered { id, .. } => Some(id),
            _ => None,
        }
    }
}

/// What the read after a settled break shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// The lease is broken.
    Stands,
    /// Another lease was broken at the same time: this break has to be undone.
    Another(String),
    /// The owner has written its tag again: its agent is alive.
    OwnerLives(Reading),
    /// The tag is gone: the owner released its lease.
    Gone,
}

/// The lease tags of one instance. It has more than one only if its role has changed.
pub fn find(tags: &Tags, id: &str) -> Vec<Found> {
    let ours = tags.iter().filter(|(key, _)| tag::owner(key) == Some(id));
    ours.map(|(key, value)| Found { key: key.clone(), reading: Reading::parse(value) }).collect()
}

/// The tags to break; none when the lease is broken already, or when there is no lease.
///
/// # Errors
/// [`Refused`] when the node takes no slot, or when another lease is broken.
pub fn may_break(tags: &Tags, id: &str) -> Result<Vec<Found>, Refused> {
    let found = find(tags, id);
    let all_broken = found.iter().all(|lease| lease.reading.state() == Some(LeaseState::Broken));
    if all_broken {
        return Ok(Vec::new());
    }
    if let Some(other) = other_broken(tags, id) {
        return Err(Refused::OneAtATime(other));
    }
    let (taking, rest): (Vec<_>, Vec<_>) = found.into_iter().partition(|lease| lease.reading.takes_slot());
    match rest.iter().find_map(|lease| lease.reading.state()).filter(|_| taking.is_empty()) {
        None => Ok(taking),
        Some(state) => {
            let advice = match state {
                LeaseState::Failed => "remove the mark with `node-agent lease clear`",
                _ => "other nodes skip it once it has not changed for 6 minutes",
            };
            Err(Refused::TakesNoSlot { id: id.to_owned(), state, advice })
        }
    }
}

/// The value that breaks a lease. The other fields stay, for later investigation.
pub fn broken(reading: &Reading) -> LeaseTag {
    with_state(reading, LeaseState::Broken)
}

/// The value that undoes a break. It has a new nonce: an owner that is alive after all must not take it for its own claim,
/// which was broken meanwhile.
pub fn put_back(reading: &Reading, nonce: &str) -> LeaseTag {
    LeaseTag { nonce: nonce.to_owned(), ..with_state(reading, reading.state().unwrap_or(LeaseState::Held)) }
}

fn with_state(reading: &Reading, state: LeaseState) -> LeaseTag {
    match reading {
        Reading::Tag(tag) => LeaseTag { state, ..tag.clone() },
        Reading::Unreadable(_) => LeaseTag {
            state,
            nonce: String::new(),
            ticket: 0,
            sequence: 0,
            max_unavailable: None,
            target: None,
            operation: String::new(),
            at: None,
        },
    }
}

/// The state of a break of this key, once it has settled.
pub fn look_back(tags: &Tags, id: &str, key: &str) -> Broken {
    if let Some(other) = other_broken(tags, id) {
        return Broken::Another(other);
    }
    match tags.get(key).map(|value| Reading::parse(value)) {
        None => Broken::Gone,
        Some(reading) if reading.state() == Some(LeaseState::Broken) => Broken::Stands,
        Some(reading) => Broken::OwnerLives(reading),
    }
}

fn other_broken(tags: &Tags, id: &str) -> Option<String> {
    let broken = |(key, value): (&String, &String)| {
        let owner = tag::owner(key).filter(|owner| *owner != id)?;
        (Reading::parse(value).state() == Some(LeaseState::Broken)).then(|| owner.to_owned())
    };
    tags.iter().find_map(broken)
}

/// The marks to clear: `failed` and `broken`.
///
/// # Errors
/// [`Refused`] when the node takes a slot or waits for one.
pub fn may_clear(tags: &Tags, id: &str) -> Result<Vec<Found>, Refused> {
    let found = find(tags, id);
    for lease in &found {
        let id = id.to_owned();
        match lease.reading.state() {
            Some(LeaseState::Failed | LeaseState::Broken) => (),
            Some(LeaseState::Waiting) => return Err(Refused::Waits(id)),
            _ => return Err(Refused::TakesSlot { id, what: lease.reading.word() }),
        }
    }
    Ok(found)
}

/// The tags to remove of a terminated instance. The operator vouches that it is terminated; this checks that it is not
/// registered.
///
/// # Errors
/// [`Refused::Registered`].
pub fn may_collect(tags: &Tags, targets: &[TargetState], id: &str) -> Result<Vec<Found>, Refused> {
    let found = find(tags, id);
    let is_one_of = |state: &TargetState| {
        state.target.id == id || found.iter().any(|lease| lease.reading.target() == Some(&state.target.id))
    };
    match targets.iter().find(|state| is_one_of(state) && !state.is_not_registered()) {
        Some(state) => Err(Refused::Registered { id: id.to_owned(), state: state.to_string() }),
        None => Ok(found),
    }
}

/// The tag value for a reason: characters that a tag may not contain become spaces, runs of spaces become one, and a long
/// text is cut off. `None`: nothing is left.
pub fn reason(text: &str) -> Option<String> {
    // `char::is_alphanumeric` takes circled letters and combining marks, too, which AWS refuses.
    let plain = |c: char| {
        let class = c.general_category_group();
        matches!(class, GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number)
    };
    let legal = |c: char| if plain(c) || "_.:/=+-@".contains(c) { c } else { ' ' };
    let words: String = text.chars().map(legal).collect();
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = words.chars().take(tag::MAX_VALUE).collect();
    let short = short.trim_end();
    short.chars().any(plain).then(|| short.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::target_group::{Target, TargetHealth};

    fn tags(entries: &[(&str, &str)]) -> Tags {
        entries.iter().map(|(id, value)| (format!("node-agent/lease/{id}"), (*value).to_owned())).collect()
    }

    fn target(id: &str, health: TargetHealth) -> TargetState {
        let target = Target::new(id, 80);
        TargetState { target, zone: None, health, reason: String::new(), administrative_override: None }
    }

    #[test]
    fn a_break_uses_the_exact_key_and_keeps_the_other_fields() {
        let tags = tags(&[("AROAEXAMPLE:i-1", "v1 p=held e=abc t=3 s=1 k=2 op=patch")]);
        let planned = may_break(&tags, "i-1").unwrap();
        assert_eq!(planned[0].key, "node-agent/lease/AROAEXAMPLE:i-1");
        assert_eq!(broken(&planned[0].reading).to_string(), "v1 p=broken e=abc t=3 s=1 k=2 op=patch");
    }

    #[test]
    fn only_a_lease_that_takes_a_slot_can_be_broken() {
        for value in ["v1 p=held e=1", "v1 p=halted e=1", "garbage"] {
            assert_eq!(may_break(&tags(&[("i-1", value)]), "i-1").map(|planned| planned.len()), Ok(1));
        }
        for (state, instead) in [("failed", "lease clear"), ("waiting", "other nodes skip it")] {
            let refused = may_break(&tags(&[("i-1", &format!("v1 p={state} e=1"))]), "i-1").unwrap_err();
            assert!(matches!(refused, Refused::TakesNoSlot { .. }), "{refused}");
            assert!(refused.to_string().contains(instead), "{refused}");
        }
        assert_eq!(may_break(&tags(&[("i-1", "v1 p=broken e=1")]), "i-1"), Ok(Vec::new()));
    }

    #[test]
    fn one_break_at_a_time_before_and_after_it_has_settled() {
        let both = tags(&[("i-1", "v1 p=held e=1"), ("i-2", "v1 p=broken e=1")]);
        assert_eq!(may_break(&both, "i-1"), Err(Refused::OneAtATime("i-2".into())));
        assert_eq!(look_back(&both, "i-1", "node-agent/lease/i-1"), Broken::Another("i-2".into()));
    }

    #[test]
    fn the_read_after_a_break_tells_whether_the_owner_lives() {
        let look = |entries| look_back(&tags(entries), "i-1", "node-agent/lease/i-1");
        assert_eq!(look(&[("i-1", "v1 p=broken e=1")]), Broken::Stands);
        assert!(matches!(look(&[("i-1", "v1 p=held e=2")]), Broken::OwnerLives(_)));
        assert_eq!(look(&[]), Broken::Gone);
    }

    #[test]
    fn an_undone_break_takes_the_slot_again_but_confirms_no_claim() {
        let before = Reading::parse("v1 p=halted e=old t=0 s=0");
        assert_eq!(put_back(&before, "new").to_string(), "v1 p=halted e=new t=0 s=0");
        assert!(Reading::parse(&put_back(&Reading::parse("garbage"), "new").to_string()).takes_slot());
    }

    #[test]
    fn only_failed_and_broken_leases_are_cleared() {
        for value in ["v1 p=failed e=1", "v1 p=broken e=1"] {
            assert_eq!(may_clear(&tags(&[("i-1", value)]), "i-1").map(|found| found.len()), Ok(1));
        }
        for value in ["v1 p=held e=1", "v1 p=halted e=1", "garbage"] {
            let refused = may_clear(&tags(&[("i-1", value)]), "i-1").unwrap_err().to_string();
            assert!(refused.contains("lease break i-1") && refused.contains("resume"), "{refused}");
        }
        let waits = may_clear(&tags(&[("i-1", "v1 p=waiting e=1")]), "i-1");
        assert_eq!(waits, Err(Refused::Waits("i-1".into())));
        assert_eq!(may_clear(&tags(&[]), "i-1"), Ok(Vec::new()));
    }

    #[test]
    fn the_lease_of_a_registered_instance_is_not_collected() {
        let tags = tags(&[("i-1", "v1 p=held e=1"), ("i-2", "v1 p=held e=1 i=10.0.0.2")]);
        assert_eq!(may_collect(&tags, &[target("i-9", TargetHealth::Healthy)], "i-1").unwrap().len(), 1);
        for (registered, id) in [("i-1", "i-1"), ("10.0.0.2", "i-2")] {
            for health in [TargetHealth::Unhealthy, TargetHealth::Draining] {
                assert!(may_collect(&tags, &[target(registered, health)], id).is_err(), "{registered}");
            }
        }
    }

    #[test]
    fn a_reason_is_reduced_to_what_a_tag_can_contain() {
        assert_eq!(reason("release day!  (don't)").as_deref(), Some("release day don t"));
        assert_eq!(reason("?!- ."), None);
        assert_eq!(reason("\u{24d0} caf\u{e9} e\u{301}").as_deref(), Some("caf\u{e9} e"));
        assert_eq!(reason(&"x".repeat(300)).map(|reason| reason.len()), Some(255));
    }
}
