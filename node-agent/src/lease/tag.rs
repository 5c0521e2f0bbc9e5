//! One lease tag: its key, its value, and how any value is read.

use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt;

/// What every lease tag's key begins with; the instance id follows.
pub const PREFIX: &str = "node-agent/lease/";

/// The longest tag value, in characters. (The API model says 256, the user guide 255.)
pub const MAX_VALUE: usize = 255;

/// What the owner of a tag is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeaseState {
    /// In the queue for a slot.
    Waiting,
    /// Takes a slot: about to leave service, out, or on the way back.
    Held,
    /// Takes a slot: stopped, and a person is needed.
    Halted,
    /// Back in service after a failed maintenance; takes no slot.
    Failed,
    /// Declared dead by an operator; takes no slot.
    Broken,
}

impl LeaseState {
    const ALL: [LeaseState; 5] =
        [LeaseState::Waiting, LeaseState::Held, LeaseState::Halted, LeaseState::Failed, LeaseState::Broken];

    fn word(self) -> &'static str {
        match self {
            LeaseState::Waiting => "waiting",
            LeaseState::Held => "held",
            LeaseState::Halted => "halted",
            LeaseState::Failed => "failed",
            LeaseState::Broken => "broken",
        }
    }
}

impl fmt::Display for LeaseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A lease tag's value, as we write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseTag {
    /// What the owner is doing.
    pub state: LeaseState,
    /// Identifies this claim, among all claims of its owner.
    pub nonce: String,
    /// Place in the queue; smaller goes first.
    pub ticket: u64,
    /// Grows while waiting, so that readers see that the owner is alive.
    pub sequence: u64,
    /// The K that the owner applied: no node may apply a larger one while this tag takes a slot.
    pub max_unavailable: Option<u32>,
    /// The owner's target id in a group of type `ip`, where it is not the instance id.
    pub target: Option<String>,
    /// The operation, for people.
    pub operation: String,
    /// When it was written, for people.
    pub at: Option<Timestamp>,
}

impl fmt::Display for LeaseTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Operators rewrite tags, so the nonce may come from a tag that we did not write.
        let nonce = legal(&self.nonce, 32);
        write!(f, "v1 p={} e={nonce} t={} s={}", self.state, self.ticket, self.sequence)?;
        if let Some(k) = self.max_unavailable {
            write!(f, " k={k}")?;
        }
        if let Some(target) = &self.target {
            write!(f, " i={}", legal(target, 45))?;
        }
        if !self.operation.is_empty() {
            write!(f, " op={}", legal(&self.operation, 64))?;
        }
        if let Some(at) = self.at {
            write!(f, " at={}", at.strftime("%Y-%m-%dT%H:%M:%SZ"))?;
        }
        Ok(())
    }
}

/// Keeps what a field may contain: tag values allow letters, digits, space and `_ . : / = + - @`, and fields end at a space.
fn legal(text: &str, longest: usize) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || "_.:/=+-@".contains(c) { c } else { '-' };
    text.chars().map(keep).take(longest).collect()
}

/// A lease tag as found on a target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// A value that we understand.
    Tag(LeaseTag),
    /// Any other value. It counts as held, because a newer version may have written it.
    Unreadable(String),
}

impl Reading {
    /// Reads a tag's value of any version: `p=` is required, and the other fields are used if they can be understood.
    pub fn parse(value: &str) -> Reading {
        let fields: BTreeMap<&str, &str> =
            value.split_ascii_whitespace().filter_map(|field| field.split_once('=')).collect();
        let word = fields.get("p").copied().unwrap_or_default();
        let Some(state) = LeaseState::ALL.into_iter().find(|state| state.word() == word) else {
            return Reading::Unreadable(value.to_owned());
        };
        let number = |key| fields.get(key).and_then(|text: &&str| text.parse().ok());
        // An unreadable `k` counts as the smallest, which is safe.
        let max_unavailable = fields.get("k").map(|text| text.parse().unwrap_or(1).max(1));
        Reading::Tag(LeaseTag {
            state,
            nonce: fields.get("e").copied().unwrap_or_default().to_owned(),
            ticket: number("t").unwrap_or(u64::MAX),
            sequence: number("s").unwrap_or(0),
            max_unavailable,
            target: fields.get("i").map(|text| (*text).to_owned()),
            operation: fields.get("op").copied().unwrap_or_default().to_owned(),
            at: fields.get("at").and_then(|text| text.parse().ok()),
        })
    }

    /// What the owner is doing; `None` for an unreadable value.
    pub fn state(&self) -> Option<LeaseState> {
        match self {
            Reading::Tag(tag) => Some(tag.state),
            Reading::Unreadable(_) => None,
        }
    }

    /// What the owner is doing, as a word; `unreadable` counts as held.
    pub fn word(&self) -> &'static str {
        self.state().map_or("unreadable", LeaseState::word)
    }

    /// The owner's target id, where it is not the instance id.
    pub fn target(&self) -> Option<&str> {
        match self {
            Reading::Tag(tag) => tag.target.as_deref(),
            Reading::Unreadable(_) => None,
        }
    }

    /// Whether the owner takes one of the K slots.
    pub fn takes_slot(&self) -> bool {
        matches!(self.state(), Some(LeaseState::Held | LeaseState::Halted) | None)
    }

    /// Of two leases of one instance, the one with the larger weight counts.
    pub(super) fn weight(&self) -> u8 {
        match self.state() {
            _ if self.takes_slot() => 2,
            Some(LeaseState::Waiting) => 1,
            _ => 0,
        }
    }

    /// Whether it counts against `node-agent/max-failures`.
    pub fn is_failure(&self) -> bool {
        matches!(self.state(), Some(LeaseState::Failed | LeaseState::Halted))
    }
}

/// The key of an instance's lease; with `lease_role_id`, IAM can pin it to the role.
pub fn key(role_id: Option<&str>, instance: &str) -> String {
    match role_id {
        Some(role_id) => format!("{PREFIX}{role_id}:{instance}"),
        None => format!("{PREFIX}{instance}"),
    }
}

/// The instance that a lease key belongs to. With `lease_role_id` a role id stands in front (`AROA...:i-...`), so the
/// instance id follows the last `:` or `/`.
pub fn owner(key: &str) -> Option<&str> {
    let rest = key.strip_prefix(PREFIX)?;
    rest.rsplit([':', '/']).next().filter(|id| !id.is_empty())
}

/// The keys of an instance's leases other than `own`: its role was replaced, or `lease_role_id` was set or removed.
pub fn other_keys<'a>(keys: impl Iterator<Item = &'a String>, instance: &str, own: &str) -> Vec<String> {
    keys.filter(|key| owner(key) == Some(instance) && *key != own).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_tag() -> impl Strategy<Value = LeaseTag> {
        (
            prop::sample::select(LeaseState::ALL.to_vec()),
            "[0-9a-f]{1,16}",
            any::<u64>(),
            any::<u64>(),
            prop::option::of(1..=20u32),
            prop::option::of("[0-9.]{7,15}"),
            "[A-Za-z0-9:/.-]{1,64}",
            prop::option::of(0..4_000_000_000i64),
        )
            .prop_map(|(state, nonce, ticket, sequence, max_unavailable, target, operation, at)| {
                LeaseTag {
                    state,
                    nonce,
                    ticket,
                    sequence,
                    max_unavailable,
                    target,
                    operation,
                    at: at.map(|second| Timestamp::from_second(second).unwrap()),
                }
            })
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(tag in any_tag()) {
            let value = tag.to_string();
            prop_assert!(value.len() <= MAX_VALUE);
            prop_assert!(value.chars().all(|c| c.is_ascii_alphanumeric() || " _.:/=+-@".contains(c)));
            prop_assert_eq!(Reading::parse(&value), Reading::Tag(tag));
        }

        #[test]
        fn an_unreadable_value_takes_a_slot(value in "\\PC*") {
            let reading = Reading::parse(&value);
            if matches!(reading, Reading::Unreadable(_)) {
                prop_assert!(reading.takes_slot());
            }
        }
    }

    #[test]
    fn any_version_is_read_by_its_state() {
        assert_eq!(Reading::parse("v9 p=waiting future=1").state(), Some(LeaseState::Waiting));
        assert_eq!(Reading::parse("v2 p=paused").state(), None);
        assert_eq!(Reading::parse("").state(), None);
    }

    #[test]
    fn an_unreadable_k_counts_as_one() {
        let Reading::Tag(tag) = Reading::parse("v1 p=held e=1 k=many") else { panic!("readable") };
        assert_eq!(tag.max_unavailable, Some(1));
    }

    #[test]
    fn the_owner_is_the_instance_with_and_without_a_role_id() {
        assert_eq!(owner("node-agent/lease/i-1"), Some("i-1"));
        assert_eq!(owner("node-agent/lease/AROAEXAMPLE:i-1"), Some("i-1"));
        assert_eq!(owner("node-agent/lease/"), None);
        assert_eq!(owner("node-agent/paused"), None);
    }
}
