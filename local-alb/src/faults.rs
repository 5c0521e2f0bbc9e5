//! What goes wrong with the API: on purpose, and by dice that the seed decides.

use crate::length::length;
use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use serde::Deserialize;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Faults that are in force until they are set anew.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Every call takes at least this long.
    #[serde(deserialize_with = "length")]
    pub latency: Duration,
    /// Token buckets per kind of call; unset: nothing is throttled.
    pub throttle: Option<Buckets>,
    /// Share of calls answered with a 500, nothing applied: 0.0 to 1.0.
    pub error_rate: f64,
    /// Share of calls that are applied and whose answer is lost: 0.0 to 1.0.
    pub lost_answer_rate: f64,
    /// No call gets an answer, none is applied: the endpoint is down.
    pub refuse: bool,
    /// The caller's credentials have expired: `ExpiredToken` for every call, none is applied.
    pub expired_credentials: bool,
    /// A read of a tag shows a value that was current at some moment this far back.
    #[serde(deserialize_with = "length")]
    pub stale_tags: Duration,
    /// The same for target health.
    #[serde(deserialize_with = "length")]
    pub stale_health: Duration,
}

/// The account's token buckets. The defaults are AWS's as the AWS Load Balancer Controller reads them; the one for
/// tags is not published.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Buckets {
    /// `Describe*`.
    pub describe: Bucket,
    /// RegisterTargets and DeregisterTargets.
    pub targets: Bucket,
    /// AddTags and RemoveTags.
    pub tags: Bucket,
    /// `Modify*`.
    pub modify: Bucket,
    /// One bucket for all calls instead of those above: a stricter account than AWS's, for comparisons.
    pub shared: Option<Bucket>,
}

impl Default for Buckets {
    fn default() -> Buckets {
        Buckets {
            describe: Bucket { burst: 40.0, per_second: 10.0 },
            targets: Bucket { burst: 20.0, per_second: 4.0 },
            tags: Bucket { burst: 20.0, per_second: 4.0 },
            modify: Bucket { burst: 20.0, per_second: 3.0 },
            shared: None,
        }
    }
}

/// One token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// What it holds.
    pub burst: f64,
    /// What comes in.
    pub per_second: f64,
}

/// What happens to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `Throttling`, not applied.
    Throttled,
    /// `InternalFailure` (500), not applied.
    ServerError,
    /// Applied; the answer never comes.
    LostAnswer,
    /// Not applied; the connection breaks.
    Refused,
    /// The connection breaks; applied only this much later.
    LandsLate(Duration),
    /// `ExpiredToken`, not applied.
    ExpiredToken,
    /// `AccessDenied`, not applied.
    AccessDenied,
}

/// Decides the fate of every call.
#[derive(Debug)]
pub(crate) struct Fate {
    pub(crate) faults: Faults,
    /// The next calls of an action get these, whatever the rates say.
    pub(crate) scripted: BTreeMap<String, VecDeque<Fault>>,
    levels: BTreeMap<&'static str, (f64, Instant)>,
}

impl Fate {
    pub(crate) fn new(faults: Faults) -> Fate {
        Fate { faults, scripted: BTreeMap::new(), levels: BTreeMap::new() }
    }

    /// What happens to this call; `None`: nothing.
    pub(crate) fn decide(&mut self, action: &str, now: Instant, random: &mut StdRng) -> Option<Fault> {
        if let Some(fault) = self.scripted.get_mut(action).and_then(VecDeque::pop_front) {
            return Some(fault);
        }
        if self.faults.refuse {
            return Some(Fault::Refused);
        }
        if self.faults.expired_credentials {
            return Some(Fault::ExpiredToken);
        }
        if self.is_throttled(action, now) {
            return Some(Fault::Throttled);
        }
        // Both are drawn every time, so that setting one rate does not shift the other's dice.
        let (error, lost) = (random.random::<f64>(), random.random::<f64>());
        if error < self.faults.error_rate {
            return Some(Fault::ServerError);
        }
        (lost < self.faults.lost_answer_rate).then_some(Fault::LostAnswer)
    }

    fn is_throttled(&mut self, action: &str, now: Instant) -> bool {
        let Some(buckets) = self.faults.throttle else { return false };
        let (name, bucket) = match action {
            "RegisterTargets" | "DeregisterTargets" => ("targets", buckets.targets),
            "AddTags" | "RemoveTags" => ("tags", buckets.tags),
            action if action.starts_with("Modify") => ("modify", buckets.modify),
            _ => ("describe", buckets.describe),
        };
        let (name, bucket) = buckets.shared.map_or((name, bucket), |shared| ("shared", shared));
        let (level, since) = self.levels.entry(name).or_insert((bucket.burst, now));
        let refilled = *level + now.saturating_duration_since(*since).as_secs_f64() * bucket.per_second;
        (*level, *since) = (refilled.min(bucket.burst), now);
        if *level < 1.0 {
            return true;
        }
        *level -= 1.0;
        false
    }
}

/// A moment between `now` and `stale` before it, for one stale read.
pub(crate) fn moment_seen(now: Instant, stale: Duration, random: &mut impl Rng) -> Instant {
    if stale.is_zero() {
        return now;
    }
    now.checked_sub(stale.mul_f64(random.random::<f64>())).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_is_empty_after_its_burst_and_fills_again() {
        let buckets = Buckets { describe: Bucket { burst: 2.0, per_second: 1.0 }, ..Buckets::default() };
        let mut fate = Fate::new(Faults { throttle: Some(buckets), ..Faults::default() });
        let mut random = StdRng::seed_from_u64(1);
        let mut ask = |now| fate.decide("DescribeTags", now, &mut random);
        let now = Instant::now();
        assert_eq!([ask(now), ask(now), ask(now)], [None, None, Some(Fault::Throttled)]);
        assert_eq!(ask(now + Duration::from_secs(1)), None);
    }

    #[test]
    fn a_scripted_fault_hits_the_next_calls_of_its_action_only() {
        let mut fate = Fate::new(Faults::default());
        fate.scripted.insert("AddTags".into(), [Fault::LostAnswer].into());
        let mut random = StdRng::seed_from_u64(1);
        let mut ask = |action| fate.decide(action, Instant::now(), &mut random);
        assert_eq!(ask("RemoveTags"), None);
        assert_eq!(ask("AddTags"), Some(Fault::LostAnswer));
        assert_eq!(ask("AddTags"), None);
    }
}
