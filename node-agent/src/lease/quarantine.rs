//! Requests whose answer was lost: a request given up on takes effect within Q, or never.

use std::time::Duration;

/// How long the youngest of these requests may still take effect, given the time since each was sent; `None`: all are
/// past.
pub fn left(since_sent: impl IntoIterator<Item = Duration>, quarantine: Duration) -> Option<Duration> {
    let youngest = since_sent.into_iter().min()?;
    quarantine.checked_sub(youngest).filter(|left| !left.is_zero())
}

/// What a node does about its own lease when its agent starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Not yet: a request of its former life may still take effect.
    Wait(Duration),
    /// It may be out: keep the lease, come back, release then. Without a record a DeregisterTargets counts as sent at
    /// the boot, and the release waits for what is [`left`] of that.
    ComeBack,
    /// It is in service and nothing can change that: remove the lease.
    Remove,
}

/// What is known at a restart.
#[derive(Debug, Clone, Copy)]
pub struct Restarted {
    /// `out` is on record; `None`: there is no record.
    pub out: Option<bool>,
    /// Our target is registered and healthy.
    pub healthy: bool,
    /// How long a request of the former life may still take effect.
    pub unresolved: Option<Duration>,
    /// Time since boot: without a record, nothing older than the boot can be known to be past.
    pub uptime: Duration,
}

/// Target health alone cannot be trusted at a restart: a deregistration may be on its way.
pub fn restart(known: Restarted, quarantine: Duration) -> Restart {
    match known.out {
        Some(true) => Restart::ComeBack,
        _ if !known.healthy => Restart::ComeBack,
        Some(false) => known.unresolved.map_or(Restart::Remove, Restart::Wait),
        None => left([known.uptime], quarantine).map_or(Restart::Remove, Restart::Wait),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const Q: Duration = Duration::from_secs(900);

    #[test]
    fn the_youngest_request_counts() {
        let seconds = |values: &[u64]| values.iter().map(|s| Duration::from_secs(*s)).collect::<Vec<_>>();
        assert_eq!(left(seconds(&[1000, 300]), Q), Some(Duration::from_secs(600)));
        assert_eq!(left(seconds(&[900]), Q), None);
        assert_eq!(left(seconds(&[]), Q), None);
    }

    #[test]
    fn a_restart_trusts_target_health_only_when_nothing_is_on_its_way() {
        let known = Restarted { out: Some(false), healthy: true, unresolved: None, uptime: Duration::ZERO };
        assert_eq!(restart(known, Q), Restart::Remove);
        assert_eq!(restart(Restarted { out: Some(true), ..known }, Q), Restart::ComeBack);
        assert_eq!(restart(Restarted { healthy: false, ..known }, Q), Restart::ComeBack);
        assert_eq!(restart(Restarted { unresolved: Some(Q), ..known }, Q), Restart::Wait(Q));
        assert_eq!(restart(Restarted { out: None, ..known }, Q), Restart::Wait(Q));
        assert_eq!(restart(Restarted { out: None, uptime: Q, ..known }, Q), Restart::Remove);
    }
}
