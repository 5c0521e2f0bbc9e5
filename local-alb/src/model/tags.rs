//! The tags of one group, with their history.

use super::timeline::Timeline;
use std::collections::BTreeMap;
use tokio::time::Instant;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// AWS's limit for the tags of a resource.
pub(crate) const MOST_TAGS: usize = 50;
/// Maximum length of a key, in characters.
const LONGEST_KEY: usize = 128;
/// Maximum length of a value, in characters.
const LONGEST_VALUE: usize = 256;

/// Tags by key. The value `None` means that the tag was removed.
#[derive(Debug, Default)]
pub(crate) struct Tags(BTreeMap<String, Timeline<Option<String>>>);

impl Tags {
    pub(crate) fn new(now: Instant, tags: &BTreeMap<String, String>) -> Tags {
        let mut new = Tags::default();
        for (key, value) in tags {
            new.set(now, key, value);
        }
        new
    }

    pub(crate) fn set(&mut self, now: Instant, key: &str, value: &str) {
        self.0.entry(key.to_owned()).or_default().set(now, Some(value.to_owned()));
    }

    pub(crate) fn remove(&mut self, now: Instant, key: &str) {
        if let Some(line) = self.0.get_mut(key) {
            line.set(now, None);
        }
        // Every node of a roll leaves a removed tag behind.
        self.0.retain(|_, line| !line.settled(now).is_some_and(Option::is_none));
    }

    /// The tags, each at the moment drawn for it.
    pub(crate) fn read(&self, mut moment: impl FnMut() -> Instant) -> BTreeMap<String, String> {
        let shown = self.0.iter().map(|(key, line)| (key, line.at(moment()).cloned().flatten()));
        shown.filter_map(|(key, value)| Some((key.clone(), value?))).collect()
    }

    /// The current tags.
    pub(crate) fn now(&self, now: Instant) -> BTreeMap<String, String> {
        self.read(|| now)
    }
}

/// Whether AWS allows this key and value: `[\p{L}\p{Z}\p{N}_.:/=+\-@]*` (ELBv2 API reference, Tag). The prefix `aws:` is
/// reserved.
pub(crate) fn is_legal(key: &str, value: &str) -> bool {
    let of_a_class = |c: char| {
        let class = c.general_category_group();
        matches!(
            class,
            GeneralCategoryGroup::Letter | GeneralCategoryGroup::Separator | GeneralCategoryGroup::Number
        )
    };
    let legal = |text: &str| text.chars().all(|c| of_a_class(c) || "_.:/=+-@".contains(c));
    let length = |text: &str| text.chars().count();
    !key.is_empty()
        && !key.starts_with("aws:")
        && length(key) <= LONGEST_KEY
        && length(value) <= LONGEST_VALUE
        && legal(key)
        && legal(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_legal_tags_are_taken() {
        assert!(is_legal("node-agent/lease/i-1", "v1 p=held e=1 at=2026-01-01T00:00:00Z"));
        assert!(is_legal("k", ""));
        for (key, value) in [
            ("", "v"),
            ("aws:x", "v"),
            ("k", "a|b"),
            ("k", "{}"),
            ("k,", "v"),
            ("k", "a\nb"),
            ("k", "\u{24d0}"),
            ("k", "e\u{301}"),
        ] {
            assert!(!is_legal(key, value), "{key} {value}");
        }
        assert!(!is_legal(&"k".repeat(129), "v"));
        assert!(!is_legal("k", &"v".repeat(257)));
    }
}
