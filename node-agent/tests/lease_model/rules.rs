//! The rules that the protocol cannot do without. Each can be taken out, to see what happens then.

/// A rule that docs/lease.md says is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Tag writes and DeregisterTargets are sent once: without it a hidden retry lands late.
    R1,
    /// No claim while an earlier tag write may still land.
    R2,
    /// No release while a DeregisterTargets may still land.
    R3,
    /// A claim needs its own epoch visible; without it the own key is enough.
    OwnEpoch,
    /// A claim is confirmed only when it has settled for the whole of D.
    SettleIsWhole,
    /// Whoever sees too many claims steps down.
    StepDown,
    /// Health and tags count in one test; without it each is tested by itself.
    CombinedTest,
    /// A restart without a record waits until Q has passed since the boot.
    RestartWaits,
    /// It waits even when it finds no tag of its own. What ships does not keep this rule yet.
    RestartWaitsWithoutTag,
    /// A node that boots with a claim gives it back only when it has been seen healthy.
    SeenHealthy,
    /// Of the time before a boot nothing is known: Q counts from the boot.
    CountsFromBoot,
    /// Nobody ignores another's `held` because it is old.
    HeldDoesNotAge,
    /// Operators break one lease at a time.
    OneBreakAtATime,
    /// A lease held too long while waiting for another group's is given back.
    GiveBack,
}
