//! Tag values as the model keeps them: small numbers, which stand for the very strings that the agent writes.

use node_agent::lease::{LeaseState, LeaseTag, Reading};
use std::sync::LazyLock;

/// Claims of one node that can be told apart at the same time; a nonce is used again only when no trace of it is left.
pub const EPOCHS: u8 = 13;
/// The epoch of a node that claims nothing.
pub const NO_CLAIM: u8 = EPOCHS;
/// How many values there are; a set of them is one word.
const CODES: u32 = 6 + 2 * EPOCHS as u32;

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
    /// A number below [`CODES`].
    pub fn code(self) -> u8 {
        match self {
            Tag::Absent => 0,
            Tag::Waiting => 1,
            Tag::Failed => 2,
            Tag::Broken => 3,
            Tag::Halted { k } => 3 + k,
            Tag::Held { epoch, k } => 5 + 2 * epoch + k,
        }
    }

    fn all() -> impl Iterator<Item = Tag> {
        let held = (0..EPOCHS).flat_map(|epoch| [1, 2].map(|k| Tag::Held { epoch, k }));
        let halted = [1, 2].map(|k| Tag::Halted { k });
        [Tag::Absent, Tag::Waiting, Tag::Failed, Tag::Broken].into_iter().chain(halted).chain(held)
    }

    pub fn from_code(code: u8) -> Tag {
        ALL[usize::from(code)]
    }

    /// The nonce of a claim.
    pub fn epoch(self) -> Option<u8> {
        match self {
            Tag::Held { epoch, .. } => Some(epoch),
            _ => None,
        }
    }

    /// The same claim under another nonce; what is no claim stays as it is.
    pub fn renamed(self, names: &[u8; EPOCHS as usize]) -> Tag {
        match self {
            Tag::Held { epoch, k } => Tag::Held { epoch: names[usize::from(epoch)], k },
            other => other,
        }
    }

    /// What stands in the tag.
    pub fn value(self) -> Option<String> {
        let tag = |hold, epoch: u8, k: Option<u8>| LeaseTag {
            state: hold,
            nonce: nonce(epoch),
            ticket: 1,
            sequence: 0,
            max_unavailable: k.map(u32::from),
            target: None,
            operation: String::new(),
            at: None,
        };
        let tag = match self {
            Tag::Absent => return None,
            Tag::Waiting => tag(LeaseState::Waiting, 0, None),
            Tag::Failed => tag(LeaseState::Failed, 0, None),
            Tag::Broken => tag(LeaseState::Broken, 0, None),
            Tag::Halted { k } => tag(LeaseState::Halted, 0, Some(k)),
            Tag::Held { epoch, k } => tag(LeaseState::Held, epoch, Some(k)),
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
pub struct Tags(u32);

impl Tags {
    pub const EMPTY: Tags = Tags(0);

    pub fn of(tag: Tag) -> Tags {
        Tags(1 << tag.code())
    }

    pub fn with(self, others: Tags) -> Tags {
        Tags(self.0 | others.0)
    }

    /// The nonces of the claims among them.
    pub fn epochs(self) -> impl Iterator<Item = u8> {
        (0..EPOCHS).filter(move |epoch| self.ks(*epoch) != 0)
    }

    /// Under which K there are claims with this nonce: two bits.
    pub fn ks(self, epoch: u8) -> u32 {
        self.0 >> Tag::Held { epoch, k: 1 }.code() & 3
    }

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
        let mut left = self.0;
        std::iter::from_fn(move || {
            let code = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            (code < CODES).then(|| Tag::from_code(code as u8))
        })
    }

    /// The same claims under other nonces.
    pub fn renamed(self, names: &[u8; EPOCHS as usize]) -> Tags {
        let mut renamed = Tags::EMPTY;
        self.iter().for_each(|tag| renamed.insert(tag.renamed(names)));
        renamed
    }
}

#[test]
fn every_tag_has_a_code_of_its_own() {
    for (code, tag) in Tag::all().enumerate() {
        assert_eq!((usize::from(tag.code()), Tag::from_code(tag.code())), (code, tag));
    }
    assert_eq!(Tag::all().count() as u32, CODES);
}
