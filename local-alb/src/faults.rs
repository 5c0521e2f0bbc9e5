//! Faults of the API: scripted ones, and random ones that depend on the seed.

use crate::length::length;
use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Faults that apply to every call until they are changed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Minimum duration of every call.
    #[serde(deserialize_with = "length")]
    pub latency: Duration,
    /// Token buckets per kind of call. Unset: no throttling.
    pub throttle: Option<Buckets>,
    /// Fraction of calls that return 500 and are not applied, 0.0 to 1.0.
    pub error_rate: f64,
    /// Fraction of calls that are applied but whose response is lost, 0.0 to 1.0.
    pub lost_answer_rate: f64,
    /// The endpoint is down: no call gets a response, and none is applied.
    pub refuse: bool,
    /// The caller's credentials have expired: every call returns `ExpiredToken`, and none is applied.
    pub expired_credentials: bool,
    /// A read of a tag returns its value at a random moment within this time before the read.
    #[serde(deserialize_with = "length")]
    pub stale_tags: Duration,
    /// A read of target health returns the state at a random moment within this time before the read.
    #[serde(deserialize_with = "length")]
    pub stale_health: Duration,
    /// A registration shows in target health only after this long. Deregistrations show at once.
    #[serde(deserialize_with = "length")]
    pub late_registrations: Duration,
    /// These actions are refused with `AccessDenied`, and not applied.
    pub denied: BTreeSet<String>,
}

/// The account's token buckets. The defaults are AWS's limits as the AWS Load Balancer Controller assumes them; AWS does
/// not publish the limit for tags.
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
    /// One bucket for all calls, which replaces those above. Stricter than AWS, for comparison.
    pub shared: Option<Bucket>,
}

impl Default for Buckets {
    fn default() -> Buckets {
        Buckets {
            describe: Bucket { burst: 200.0, per_second: 50.0 },
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
    /// Capacity of the bucket.
    pub burst: f64,
    /// Tokens added per second.
    pub per_second: f64,
}

/// A fault of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `Throttling`, not applied.
    Throttled,
    /// `InternalFailure` (500), not applied.
    ServerError,
    /// Applied, but the response is lost.
    LostAnswer,
    /// Not applied; the connection closes.
    Refused,
    /// The connection closes at once; applied after this time.
    LandsLate(Duration),
    /// `ExpiredToken`, not applied.
    ExpiredToken,
    /// `AccessDenied`, not applied.
    AccessDenied,
}

/// Decides which calls fail.
#[derive(Debug)]
pub(crate) struct Fate {
    pub(crate) faults: Faults,
    /// The faults of an action's next calls. They override the rates.
    pub(crate) scripted: BTreeMap<String, VecDeque<Fault>>,
    levels: BTreeMap<&'static str, (f64, Instant)>,
}

impl Fate {
    pub(crate) fn new(faults: Faults) -> Fate {
        Fate { faults, scripted: BTreeMap::new(), levels: BTreeMap::new() }
    }

    /// The fault of this call; `None`: none.
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
        if self.faults.denied.contains(action) {
            return Some(Fault::AccessDenied);
        }
        if self.is_throttled(action, now) {
            return Some(Fault::Throttled);
        }
        // Both numbers are drawn every time, so that changing one rate does not change the other fault's sequence.
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

/// A random moment within `stale` before `now`, for one stale read.
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

    #[tokio::test(start_paused = true)]
    async fn each_kind_of_call_has_a_bucket_of_its_own_unless_one_is_shared() {
        let once = Bucket { burst: 1.0, per_second: 0.0 };
        let calls =
            ["RegisterTargets", "DeregisterTargets", "AddTags", "RemoveTags", "ModifyRule", "DescribeTags"];
        let throttled = |shared| {
            let buckets = Buckets { targets: once, tags: once, modify: once, describe: once, shared };
            let mut fate = Fate::new(Faults { throttle: Some(buckets), ..Faults::default() });
            let mut random = StdRng::seed_from_u64(1);
            calls.map(|action| fate.decide(action, Instant::now(), &mut random).is_some())
        };
        assert_eq!(throttled(None), [false, true, false, true, false, false]);
        assert_eq!(throttled(Some(once)), [false, true, true, true, true, true]);
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
