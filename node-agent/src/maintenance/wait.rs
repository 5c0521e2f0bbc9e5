//! The only place that waits: with a deadline and a way to stop, and it keeps the lease meanwhile.

use crate::aws::load_balancer::{CallError, LoadBalancer};
use crate::maintenance::context::{DriveError, Driver, Step, StepError};
use crate::maintenance::inbox::TAKE_REQUESTS_EVERY;
use crate::maintenance::lease_writer::KEEP_EVERY;
use crate::maintenance::progress::rounded;
use crate::record::phase::{Phase, Stage};
use rand::RngExt;
use std::time::Duration;
use tokio::time::Instant;

/// Back-off after a throttled call: doubles from here.
const THROTTLED_FIRST: Duration = Duration::from_secs(2);
/// Back-off after any other failure: doubles from here.
const FAILED_FIRST: Duration = Duration::from_millis(500);
/// The longest back-off.
const LONGEST: Duration = Duration::from_secs(60);

/// How often the driver checks the lease and its requests while a command runs.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Returns when it is time for these checks.
pub(crate) async fn until_next_check() {
    tokio::time::sleep(LOOK_AFTER).await;
}

/// How many times something else may move our target before the driver gives up.
pub(crate) const MOST_INTERFERENCES: u32 = 3;

impl Driver {
    /// Waits before the next read. Ends early when a stop is requested. `waiting` continues the word "waiting": `for X`, or
    /// `until Y`.
    ///
    /// # Errors
    /// [`StepError::Failed`] when the phase's time limit has passed, [`StepError::Cancelled`] when a stop was requested and
    /// the phase can still turn back.
    pub(crate) async fn look_again(&mut self, after: Duration, waiting: &str) -> Step {
        let phase = self.operation.phase;
        let left = self.time_left()?;
        if left.is_some_and(|left| left.is_zero()) {
            let limit = self.limit().map(rounded).unwrap_or_default();
            let advice = match phase {
                Phase::AcquireLease => "; run `node-agent status` to see what to do",
                _ => "",
            };
            return Err(StepError::Failed(format!("gave up after {limit} of waiting {waiting}{advice}")));
        }
        self.progress.waiting(phase.name(), waiting, self.limit());
        tracing::debug!(phase = phase.name(), "waiting {waiting}");
        self.pause(left.map_or(after, |left| after.min(left))).await
    }

    /// Waits for the whole length of a proof, never for less. Before the node leaves, the remaining time must be enough for
    /// it. Once the node is out, a proof may outlast the limit of its phase.
    ///
    /// # Errors
    /// As [`Driver::look_again`].
    pub(crate) async fn prove(&mut self, length: Duration, waiting_for: &str) -> Step {
        self.has_time_to_prove(length, waiting_for)?;
        self.progress.waiting(self.operation.phase.name(), waiting_for, self.limit());
        tracing::debug!(phase = self.operation.phase.name(), "waiting {waiting_for}");
        self.pause(length).await
    }

    /// Whether there is time for a proof. A claim is not even written when it could not settle.
    ///
    /// # Errors
    /// [`StepError::Failed`] when there is not.
    pub(crate) fn has_time_to_prove(&self, length: Duration, waiting_for: &str) -> Step {
        let in_service = self.operation.phase.stage() == Stage::InService;
        if in_service && self.time_left()?.is_some_and(|left| left < length) {
            let (limit, needed) = (self.limit().map(rounded).unwrap_or_default(), rounded(length));
            return Err(StepError::Failed(format!(
                "gave up: less than {needed} of {limit} is left {waiting_for}"
            )));
        }
        Ok(())
    }

    /// Waits, takes requests meanwhile, and keeps the lease while out: one wait may last the whole quarantine. Only sleeps
    /// end early; a call in progress is awaited.
    async fn pause(&mut self, length: Duration) -> Step {
        let until = Instant::now() + length;
        loop {
            self.take_requests()?;
            self.still_wanted()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            if self.operation.left.is_some() {
                self.keep_lease().await?;
            }
            self.doze(left.min(KEEP_EVERY)).await;
        }
    }

    /// Waits without a deadline and without a way to stop, for a release that has to be acknowledged. Takes requests
    /// meanwhile.
    pub(crate) async fn rest(&mut self, length: Duration) -> Result<(), DriveError> {
        let until = Instant::now() + length;
        loop {
            self.take_requests()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.doze(left).await;
        }
    }

    /// As [`Driver::rest`]. While calls are denied, a stop ends it: the next failure then ends the process.
    pub(crate) async fn rest_unless_denied(&mut self, length: Duration) -> Result<(), DriveError> {
        let stop = self.stop.clone();
        if !self.is_denied() {
            return self.rest(length).await;
        }
        tokio::select! {
            rested = self.rest(length) => rested,
            () = stop.cancelled() => Ok(()),
        }
    }

    /// Sleeps until requests should be taken again, or until a stop is requested in a phase that can turn back.
    pub(crate) async fn doze(&mut self, at_most: Duration) {
        let nap = if self.requests.is_some() { at_most.min(TAKE_REQUESTS_EVERY) } else { at_most };
        let sleep = tokio::time::sleep(nap);
        if self.stop.is_cancelled() || !self.operation.phase.can_be_cancelled() {
            return sleep.await;
        }
        tokio::select! {
            () = sleep => (),
            () = self.stop.cancelled() => (),
        }
    }

    /// Retries a call until it is answered.
    ///
    /// # Errors
    /// As [`Driver::look_again`]. [`StepError::Misconfigured`] on a final error while the node is in service. Once it is
    /// out, only the time limit ends the retries: permissions may return.
    pub(crate) async fn ask<T>(
        &mut self,
        call: impl AsyncFn(&LoadBalancer) -> Result<T, CallError>,
    ) -> Step<T> {
        let mut failures = 0;
        loop {
            // A clone of the client ends the borrow of the driver.
            let load_balancer = self.load_balancer.clone();
            let error = match call(&load_balancer).await {
                Ok(answer) => {
                    self.failing = None;
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if error.is_final() && !self.operation.has_to_come_back() {
                return Err(StepError::Misconfigured(error.to_string()));
            }
            self.back_off(&error, failures).await?;
            failures += 1;
        }
    }

    /// As [`Driver::ask`], for one of our groups. `None`: the group was deleted after the node left it or gave up.
    pub(crate) async fn ask_group<T>(
        &mut self,
        index: usize,
        call: impl AsyncFn(&LoadBalancer, &str) -> Result<T, CallError>,
    ) -> Step<Option<T>> {
        let coming_back = self.operation.has_to_come_back();
        let Some(group) = self.operation.live_group(index) else { return Ok(None) };
        let arn = group.arn.clone();
        let answer = self
            .ask(async |load_balancer| match call(load_balancer, &arn).await {
                Err(error) if error.is_group_gone() && coming_back => Ok(None),
                answer => answer.map(Some),
            })
            .await?;
        if answer.is_none() {
            self.group_is_gone(index)?;
        }
        Ok(answer)
    }

    /// Notes that a group was deleted.
    pub(crate) fn group_is_gone(&mut self, index: usize) -> Result<(), DriveError> {
        if let Some(group) = self.operation.groups.get_mut(index) {
            tracing::warn!("the target group {} no longer exists: continuing without it", group.arn);
            group.gone = true;
        }
        self.save()
    }

    /// Waits after a failed call: full jitter below a bound that doubles.
    pub(crate) async fn back_off(&mut self, error: &CallError, failures: u32) -> Step {
        self.failed_call(error).await?;
        let pause = self.back_off_time(error, failures);
        tracing::warn!("{error}; trying again in {:.1} s", pause.as_secs_f64());
        self.look_again(pause, &format!("for the API: {error}")).await
    }

    /// How long to wait after this many failures.
    pub(crate) fn back_off_time(&mut self, error: &CallError, failures: u32) -> Duration {
        let first = if error.is_throttled() { THROTTLED_FIRST } else { FAILED_FIRST };
        let bound = first.saturating_mul(1 << failures.min(16)).min(LONGEST);
        bound.mul_f64(self.random.random_range(0.1..=1.0))
    }

    /// A quarter more or less, so that nodes do not synchronize.
    pub(crate) fn jittered(&mut self, length: Duration) -> Duration {
        length.mul_f64(self.random.random_range(0.75..=1.25))
    }

    /// Time between two reads of a group that cannot spare us.
    pub(crate) fn lease_poll(&mut self) -> Duration {
        self.jittered(self.operation.request.settings.lease_poll.0)
    }

    /// Time between two reads of target health: with K nodes out, each reads K times less often.
    pub(crate) fn health_poll(&self) -> Duration {
        let out = self
            .operation
            .live_groups()
            .filter_map(|group| group.claim.as_ref().map(|claim| claim.max_unavailable));
        self.operation.request.settings.health_poll.0 * out.max().unwrap_or(1)
    }

    /// Something else has moved our target: blocked a few times, then failed.
    pub(crate) fn interfered(&mut self, what: &str) -> StepError {
        self.operation.interferences = self.operation.interferences.saturating_add(1);
        if self.operation.interferences > MOST_INTERFERENCES {
            return StepError::Failed(format!(
                "{what}, for the {}th time; find out what does this",
                MOST_INTERFERENCES + 1
            ));
        }
        StepError::Blocked(what.to_owned())
    }
}
