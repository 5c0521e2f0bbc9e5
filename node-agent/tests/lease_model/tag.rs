//! Tag values as the model keeps them: small numbers, which stand for the very strings that the agent writes.

use node_agent::lease::{Hold, LeaseTag, Reading};
use std::sync::LazyLock;

/// Claims of one node that can be told apart at the same time; a nonce is used again only when no trace of it is left.
pub const EPOCHS: u8 = 5;
/// The epoch of a node that claims nothing.
pub const NO_CLAIM: u8 = EPOCHS;

/// One node's lease tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tag {
    Absent,
    Waiting,
    Failed,
    Broken,
    Halted { k: u8 },
    Held { epoch: u8, k: u8 },
}

impl Tag {
    /// A number below 16.
    pub fn code(self) -> u16 {
        match self {
            Tag::Absent => 0,
            Tag::Waiting => 1,
            Tag::Failed => 2,
            Tag::Broken => 3,
            Tag::Halted { k } => 3 + u16::from(k),
            Tag::Held { epoch, k } => 5 + 2 * u16::from(epoch) + u16::from(k),
        }
    }

    fn all() -> impl Iterator<Item = Tag> {
        let held = (0..EPOCHS).flat_map(|epoch| [1, 2].map(|k| Tag::Held { epoch, k }));
        let halted = [1, 2].map(|k| Tag::Halted { k });
        [Tag::Absent, Tag::Waiting, Tag::Failed, Tag::Broken].into_iter().chain(halted).chain(held)
    }

    pub fn from_code(code: u16) -> Tag {
        ALL[usize::from(code)]
    }

    /// What stands in the tag.
    pub fn value(self) -> Option<String> {
        let tag = |hold, epoch: u8, k: Option<u8>| LeaseTag {
            hold,
            epoch: nonce(epoch),
            ticket: 1,
            sequence: 0,
            max_unavailable: k.map(u32::from),
            target: None,
            operation: String::new(),
            at: None,
        };
        let tag = match self {
            Tag::Absent => return None,
            Tag::Waiting => tag(Hold::Waiting, 0, None),
            Tag::Failed => tag(Hold::Failed, 0, None),
            Tag::Broken => tag(Hold::Broken, 0, None),
            Tag::Halted { k } => tag(Hold::Halted, 0, Some(k)),
            Tag::Held { epoch, k } => tag(Hold::Held, epoch, Some(k)),
        };
        Some(tag.to_string())
    }

    /// As the agent decides it, of the string.
    pub fn takes_slot(self) -> bool {
        TAKES_SLOT[usize::from(self.code())]
    }
}

/// The nonce that stands for an epoch of the model.
pub fn nonce(epoch: u8) -> String {
    format!("nonce{epoch}")
}

static ALL: LazyLock<Vec<Tag>> = LazyLock::new(|| Tag::all().collect());
static TAKES_SLOT: LazyLock<Vec<bool>> = LazyLock::new(|| {
    let takes_slot = |tag: Tag| tag.value().is_some_and(|value| Reading::parse(&value).takes_slot());
    Tag::all().map(takes_slot).collect()
});

/// A set of tag values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Tags(u16);

impl Tags {
    pub const EMPTY: Tags = Tags(0);

    pub fn insert(&mut self, tag: Tag) {
        self.0 |= 1 << tag.code();
    }

    pub fn remove(&mut self, tag: Tag) {
        self.0 &= !(1 << tag.code());
    }

    pub fn remove_all(&mut self, others: Tags) {
        self.0 &= !others.0;
    }

    pub fn retain(&mut self, others: Tags) {
        self.0 &= others.0;
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Tag> {
        (0..16).filter(move |code| self.0 & (1 << code) != 0).map(Tag::from_code)
    }
}

#[test]
fn every_tag_has_a_code_of_its_own() {
    for (code, tag) in Tag::all().enumerate() {
        assert_eq!((usize::from(tag.code()), Tag::from_code(tag.code())), (code, tag));
    }
}
