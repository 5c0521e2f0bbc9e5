//! Calls without an answer: such a call takes effect within Q, or never.

use std::time::Duration;

/// How long the youngest of these calls may still take effect, given the time since each was sent; `None`: none can any
/// more.
pub fn left(since_sent: impl IntoIterator<Item = Duration>, quarantine: Duration) -> Option<Duration> {
    let youngest = since_sent.into_iter().min()?;
    quarantine.checked_sub(youngest).filter(|left| !left.is_zero())
}

/// What a node does about its own lease when its agent starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Not yet: a call from before the restart may still take effect.
    Wait(Duration),
    /// The node may be out: keep the lease, come back, then release it. Without a record a DeregisterTargets counts as sent
    /// at the boot, and the release waits for what is [`left`] of its quarantine.
    ComeBack,
    /// The node is in service and no call can change that: remove the lease.
    Remove,
}

/// Target health alone does not decide at a restart, because a deregistration may be on its way. `since_sent` is the time
/// since the last call in doubt; without a record, the time since the boot. `None`: no call is in doubt.
pub fn restart(healthy: bool, since_sent: Option<Duration>, quarantine: Duration) -> Restart {
    match left(since_sent, quarantine) {
        _ if !healthy => Restart::ComeBack,
        Some(left) => Restart::Wait(left),
        None => Restart::Remove,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const Q: Duration = Duration::from_secs(900);

    #[test]
    fn the_youngest_call_counts() {
        let seconds = |values: &[u64]| values.iter().map(|s| Duration::from_secs(*s)).collect::<Vec<_>>();
        assert_eq!(left(seconds(&[1000, 300]), Q), Some(Duration::from_secs(600)));
        assert_eq!(left(seconds(&[900]), Q), None);
        assert_eq!(left(seconds(&[]), Q), None);
    }

    #[test]
    fn a_restart_trusts_target_health_only_when_no_call_is_in_doubt() {
        assert_eq!(restart(true, None, Q), Restart::Remove);
        assert_eq!(restart(true, Some(Q), Q), Restart::Remove);
        assert_eq!(restart(true, Some(Duration::ZERO), Q), Restart::Wait(Q));
        for since_sent in [None, Some(Duration::ZERO), Some(Q)] {
            assert_eq!(restart(false, since_sent, Q), Restart::ComeBack);
        }
    }
}
