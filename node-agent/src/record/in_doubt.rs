//! Calls that may still take effect: sent, but not answered.

use crate::lease::quarantine;
use crate::machine::time::Moment;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The calls of one kind that have no answer yet, or whose answer was lost. A call is added, and the record is written,
/// before it is sent. It is removed once its outcome is known, or once it can no longer take effect.
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

    /// Adds a call that is about to be sent.
    pub fn begin(&mut self, now: Moment) -> CallId {
        let id = CallId(self.0.iter().map(|sent| sent.id.0).max().map_or(0, |last| last.wrapping_add(1)));
        self.0.push(Sent { id, at: now });
        id
    }

    /// Removes a call whose outcome is known.
    pub fn resolve(&mut self, id: CallId) {
        self.0.retain(|sent| sent.id != id);
    }

    /// One of the calls has taken effect, and each can do so only once. It is not known which, so the youngest stays in
    /// doubt.
    pub fn resolve_oldest(&mut self) {
        if !self.0.is_empty() {
            self.0.remove(0);
        }
    }

    /// How long the youngest call may still take effect; `None`: none can any more.
    pub fn left(&self, now: &Moment, quarantine: Duration) -> Option<Duration> {
        quarantine::left(self.0.iter().map(|sent| sent.at.at_least_until(now)), quarantine)
    }

    /// Removes all calls: none can take effect any more.
    pub fn forget(&mut self) {
        self.0.clear();
    }

    /// Whether every outcome is known.
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
    fn when_one_of_several_calls_has_taken_effect_the_youngest_stays_in_doubt() {
        let mut calls = InDoubt::since(at(0));
        calls.begin(at(500));
        calls.resolve_oldest();
        assert_eq!(calls.left(&at(500), Q), Some(Q));
        calls.resolve_oldest();
        calls.resolve_oldest();
        assert!(calls.is_empty());
    }

    #[test]
    fn after_the_quarantine_nothing_is_left_to_wait_for_but_the_calls_stay_until_forgotten() {
        let mut calls = InDoubt::since(at(0));
        assert_eq!(calls.left(&at(900), Q), None);
        assert!(!calls.is_empty(), "it may have taken effect");
        calls.forget();
        assert!(calls.is_empty());
    }
}
