//! A registration: initial, healthy or unhealthy, draining, not registered.

use super::timeline::Timeline;
use crate::settings::{HealthCheck, Probe};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Target health, with its reason if it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetHealth {
    /// Registered, but not yet known to the data plane.
    RegistrationInProgress,
    /// The first health checks are in progress.
    InitialHealthChecking,
    /// In service.
    Healthy,
    /// Fails its health checks.
    Unhealthy(Probe),
    /// Deregistered; the deregistration delay has not elapsed.
    Draining,
    /// Not registered.
    NotRegistered,
    /// The group is not attached to a load balancer.
    NotInUse,
}

impl TargetHealth {
    /// In the group, so that requests may come now or later.
    pub(crate) fn is_registered(self) -> bool {
        !matches!(self, TargetHealth::Draining | TargetHealth::NotRegistered)
    }

    /// The state's name on AWS.
    pub fn word(self) -> &'static str {
        match self {
            TargetHealth::RegistrationInProgress | TargetHealth::InitialHealthChecking => "initial",
            TargetHealth::Healthy => "healthy",
            TargetHealth::Unhealthy(_) => "unhealthy",
            TargetHealth::Draining => "draining",
            TargetHealth::NotRegistered | TargetHealth::NotInUse => "unused",
        }
    }

    /// AWS's reason code. Healthy targets have none.
    pub fn reason(self) -> &'static str {
        match self {
            TargetHealth::RegistrationInProgress => "Elb.RegistrationInProgress",
            TargetHealth::InitialHealthChecking => "Elb.InitialHealthChecking",
            TargetHealth::Healthy => "",
            TargetHealth::Unhealthy(Probe::Status(_)) => "Target.ResponseCodeMismatch",
            TargetHealth::Unhealthy(Probe::TimedOut) => "Target.Timeout",
            TargetHealth::Unhealthy(Probe::Failed) => "Target.FailedHealthChecks",
            TargetHealth::Draining => "Target.DeregistrationInProgress",
            TargetHealth::NotRegistered => "Target.NotRegistered",
            TargetHealth::NotInUse => "Target.NotInUse",
        }
    }

    /// AWS's description of the reason.
    pub fn description(self) -> String {
        match self {
            TargetHealth::RegistrationInProgress => "Target registration is in progress".to_owned(),
            TargetHealth::InitialHealthChecking => "Initial health checks in progress".to_owned(),
            TargetHealth::Healthy => String::new(),
            TargetHealth::Unhealthy(Probe::Status(status)) => {
                format!("Health checks failed with these codes: [{status}]")
            }
            TargetHealth::Unhealthy(Probe::TimedOut) => "Request timed out".to_owned(),
            TargetHealth::Unhealthy(Probe::Failed) => "Health checks failed".to_owned(),
            TargetHealth::Draining => "Target deregistration is in progress".to_owned(),
            TargetHealth::NotRegistered => "Target is not registered to the target group".to_owned(),
            TargetHealth::NotInUse => {
                "Target group is not configured to receive traffic from the load balancer".to_owned()
            }
        }
    }
}

impl fmt::Display for TargetHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// An (id, port) pair that is or was registered.
#[derive(Debug)]
pub(crate) struct Target {
    health: Timeline<TargetHealth>,
    /// Number of the registration. Results of an earlier registration's health checks are ignored.
    pub(crate) registration: u64,
    passed: u32,
    failed: u32,
    /// Requests in flight.
    pub(crate) in_flight: Arc<AtomicUsize>,
    /// The end of the deregistration delay, when the remaining requests are cut off.
    pub(crate) cut: watch::Sender<Option<Instant>>,
}

impl Target {
    pub(crate) fn new() -> Target {
        Target {
            health: Timeline::default(),
            registration: 0,
            passed: 0,
            failed: 0,
            in_flight: Arc::new(AtomicUsize::new(0)),
            cut: watch::Sender::new(None),
        }
    }

    /// The actual health at a moment, now or in the past.
    pub(crate) fn health_at(&self, moment: Instant) -> TargetHealth {
        self.health.at(moment).copied().unwrap_or(TargetHealth::NotRegistered)
    }

    /// Whether it is registered in the control plane.
    pub(crate) fn is_registered(&self, now: Instant) -> bool {
        self.health_at(now).is_registered()
    }

    /// RegisterTargets. True if this begins a new registration, whose health checks have to be started.
    pub(crate) fn register(&mut self, now: Instant, lag: Duration, in_use: bool) -> bool {
        if self.is_registered(now) {
            return false;
        }
        self.begin(now, lag, in_use);
        true
    }

    /// Begins a registration anew, with the first health check if a load balancer uses the group.
    pub(crate) fn begin(&mut self, now: Instant, lag: Duration, in_use: bool) {
        self.registration += 1;
        (self.passed, self.failed) = (0, 0);
        self.cut.send_replace(None);
        if in_use {
            self.health.set(now, TargetHealth::RegistrationInProgress);
            self.health.announce(now + lag, TargetHealth::InitialHealthChecking);
        } else {
            self.health.set(now, TargetHealth::NotInUse);
        }
    }

    /// DeregisterTargets. `draining` lasts for the whole delay, even without requests in flight.
    pub(crate) fn deregister(&mut self, now: Instant, delay: Duration) {
        if !self.is_registered(now) {
            return;
        }
        self.health.set(now, TargetHealth::Draining);
        self.health.announce(now + delay, TargetHealth::NotRegistered);
        self.cut.send_replace(Some(now + delay));
    }

    /// Applies the result of a health check. One pass makes a new target healthy; afterwards the thresholds apply.
    pub(crate) fn checked(&mut self, now: Instant, probe: Probe, check: &HealthCheck) {
        let pass = matches!(probe, Probe::Status(status) if check.passes(status));
        if pass {
            (self.passed, self.failed) = (self.passed + 1, 0);
        } else {
            (self.passed, self.failed) = (0, self.failed + 1);
        }
        let before = self.health_at(now);
        let next = match before {
            TargetHealth::RegistrationInProgress | TargetHealth::InitialHealthChecking if pass => {
                TargetHealth::Healthy
            }
            TargetHealth::Unhealthy(_) if pass && self.passed >= check.healthy_threshold => {
                TargetHealth::Healthy
            }
            TargetHealth::InitialHealthChecking | TargetHealth::Healthy | TargetHealth::Unhealthy(_)
                if !pass && self.failed >= check.unhealthy_threshold =>
            {
                TargetHealth::Unhealthy(probe)
            }
            same => same,
        };
        if next != before {
            self.health.set(now, next);
        }
    }

    /// Whether the data plane sends it requests. A deregistration reaches the data plane after the lag.
    pub(crate) fn gets_requests(&self, now: Instant, lag: Duration) -> Eligible {
        match self.health_at(now) {
            TargetHealth::Healthy => Eligible::Healthy,
            TargetHealth::Draining => {
                let since = self.health.since(now).unwrap_or(now);
                let before = since.checked_sub(Duration::from_nanos(1)).map(|moment| self.health_at(moment));
                match before {
                    Some(TargetHealth::Healthy) if now < since + lag => Eligible::Healthy,
                    _ => Eligible::No,
                }
            }
            TargetHealth::Unhealthy(_) | TargetHealth::InitialHealthChecking => Eligible::WhenFailingOpen,
            TargetHealth::RegistrationInProgress | TargetHealth::NotRegistered | TargetHealth::NotInUse => {
                Eligible::No
            }
        }
    }

    pub(crate) fn in_flight_now(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }
}

/// A target's role in the data plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eligible {
    /// Gets requests.
    Healthy,
    /// Gets requests only while the load balancer fails open.
    WhenFailingOpen,
    /// Gets none.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: Duration = Duration::from_secs(2);
    const DELAY: Duration = Duration::from_secs(60);

    struct Story {
        target: Target,
        now: Instant,
        check: HealthCheck,
    }

    fn registered() -> Story {
        let (mut target, now) = (Target::new(), Instant::now());
        assert!(target.register(now, LAG, true));
        Story { target, now, check: HealthCheck::default() }
    }

    impl Story {
        fn after(mut self, seconds: u64) -> Story {
            self.now += Duration::from_secs(seconds);
            self
        }
        fn probe(mut self, probe: Probe) -> Story {
            self.target.checked(self.now, probe, &self.check);
            self
        }
        fn pass(self) -> Story {
            self.probe(Probe::Status(200))
        }
        fn fail(self) -> Story {
            self.probe(Probe::Status(503))
        }
        fn deregister(mut self) -> Story {
            self.target.deregister(self.now, DELAY);
            self
        }
        fn is(self, health: TargetHealth) -> Story {
            assert_eq!(self.target.health_at(self.now), health);
            self
        }
        fn gets_requests(self, expected: Eligible) -> Story {
            assert_eq!(self.target.gets_requests(self.now, LAG), expected);
            self
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_passed_check_makes_a_new_target_healthy_and_the_thresholds_count_later() {
        let unhealthy = TargetHealth::Unhealthy(Probe::Status(503));
        let story = registered().is(TargetHealth::RegistrationInProgress);
        let story = story.after(2).is(TargetHealth::InitialHealthChecking).pass().is(TargetHealth::Healthy);
        let story = story.fail().is(TargetHealth::Healthy).fail().is(unhealthy);
        story.pass().is(unhealthy).pass().is(TargetHealth::Healthy);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_target_that_fails_its_checks_never_counts_as_healthy() {
        let story = registered().after(2).fail().is(TargetHealth::InitialHealthChecking);
        story.fail().is(TargetHealth::Unhealthy(Probe::Status(503)));
    }

    #[test]
    fn each_health_has_the_reason_and_the_description_that_aws_gives() {
        for (health, reason, description) in [
            (
                TargetHealth::RegistrationInProgress,
                "Elb.RegistrationInProgress",
                "Target registration is in progress",
            ),
            (
                TargetHealth::InitialHealthChecking,
                "Elb.InitialHealthChecking",
                "Initial health checks in progress",
            ),
            (TargetHealth::Healthy, "", ""),
            (
                TargetHealth::Unhealthy(Probe::Status(503)),
                "Target.ResponseCodeMismatch",
                "Health checks failed with these codes: [503]",
            ),
            (TargetHealth::Unhealthy(Probe::TimedOut), "Target.Timeout", "Request timed out"),
            (
                TargetHealth::Draining,
                "Target.DeregistrationInProgress",
                "Target deregistration is in progress",
            ),
        ] {
            assert_eq!((health.reason(), health.description().as_str()), (reason, description));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn draining_lasts_for_the_whole_delay_even_when_idle() {
        let story = registered().after(2).pass().deregister().is(TargetHealth::Draining);
        story.after(59).is(TargetHealth::Draining).after(1).is(TargetHealth::NotRegistered);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_still_come_until_the_deregistration_has_spread() {
        let story = registered().after(2).pass().gets_requests(Eligible::Healthy);
        let story = story
            .after(9)
            .deregister()
            .gets_requests(Eligible::Healthy)
            .after(1)
            .gets_requests(Eligible::Healthy);
        story.after(1).gets_requests(Eligible::No);
    }

    #[tokio::test(start_paused = true)]
    async fn registering_again_while_draining_starts_over() {
        let mut story = registered().after(2).pass().deregister().after(5);
        assert!(story.target.register(story.now, LAG, true));
        let story = story.is(TargetHealth::RegistrationInProgress).after(2).pass().is(TargetHealth::Healthy);
        story.after(100).is(TargetHealth::Healthy);
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_behind_no_load_balancer_uses_nobody() {
        let mut target = Target::new();
        let now = Instant::now();
        target.register(now, LAG, false);
        assert_eq!(target.health_at(now + LAG), TargetHealth::NotInUse);
    }
}
