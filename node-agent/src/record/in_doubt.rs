//! Calls that may still take effect: sent, and not answered.

use crate::lease::quarantine;
use crate::machine::time::Moment;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The calls of one kind that have no answer yet, or whose answer was lost. A call is put here, and on record, before it
/// is sent; it is taken off once its outcome is known or can no longer come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InDoubt(Vec<Sent>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sent {
    id: CallId,
    at: Moment,
}

/// One call among those in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallId(u32);

impl InDoubt {
    /// One call, sent at this moment.
    pub fn since(at: Moment) -> InDoubt {
        InDoubt(vec![Sent { id: CallId(0), at }])
    }

    /// A call is about to be sent.
    pub fn begin(&mut self, now: Moment) -> CallId {
        let id = CallId(self.0.iter().map(|sent| sent.id.0).max().map_or(0, |last| last.wrapping_add(1)));
        self.0.push(Sent { id, at: now });
        id
    }

    /// Its outcome is known.
    pub fn resolve(&mut self, id: CallId) {
        self.0.retain(|sent| sent.id != id);
    }

    /// One of them has taken effect, and each does so once. Which of several is not known, so it is the youngest that is
    /// still waited for.
    pub fn resolve_oldest(&mut self) {
        if !self.0.is_empty() {
            self.0.remove(0);
        }
    }

    /// How long the youngest may still take effect; `None`: none can any more.
    pub fn left(&self, now: &Moment, quarantine: Duration) -> Option<Duration> {
        quarantine::left(self.0.iter().map(|sent| sent.at.at_least_until(now)), quarantine)
    }

    /// None of them can take effect any more.
    pub fn forget(&mut self) {
        self.0.clear();
    }

    /// Every outcome is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    const Q: Duration = Duration::from_secs(900);

    fn at(seconds: u64) -> Moment {
        Moment { boot_id: "boot".into(), uptime_ms: seconds * 1000, utc: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn an_answer_resolves_its_own_call_and_no_other() {
        let mut calls = InDoubt::default();
        let (lost, answered) = (calls.begin(at(0)), calls.begin(at(300)));
        assert_ne!(lost, answered);
        assert_eq!(calls.left(&at(300), Q), Some(Q), "the youngest counts");
        calls.resolve(answered);
        assert_eq!(calls.left(&at(300), Q), Some(Duration::from_secs(600)));
        assert_ne!(calls.begin(at(400)), lost, "an id is not used twice");
    }

    #[test]
    fn of_several_the_youngest_is_waited_for_when_one_has_landed() {
        let mut calls = InDoubt::since(at(0));
        calls.begin(at(500));
        calls.resolve_oldest();
        assert_eq!(calls.left(&at(500), Q), Some(Q));
        calls.resolve_oldest();
        calls.resolve_oldest();
        assert!(calls.is_empty());
    }

    #[test]
    fn after_the_quarantine_none_is_waited_for_but_all_are_remembered_until_they_are_forgotten() {
        let mut calls = InDoubt::since(at(0));
        assert_eq!(calls.left(&at(900), Q), None);
        assert!(!calls.is_empty(), "it may have landed");
        calls.forget();
        assert!(calls.is_empty());
    }
}
