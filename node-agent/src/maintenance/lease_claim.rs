//! Claims a slot, queues for one, and releases it: writes of our lease tags, with retries (docs/lease.md, rule R2).

use crate::lease::LeaseState;
use crate::maintenance::context::{DriveError, Driver, Step, StepError};
use crate::maintenance::lease_writer::Sent;
use crate::maintenance::progress::rounded;
use crate::record::{ClaimOnRecord, TicketOnRecord};
use std::collections::BTreeMap;

impl Driver {
    /// The tags of one group.
    pub(crate) async fn group_tags(&mut self, index: usize) -> Step<Option<BTreeMap<String, String>>> {
        let tags = self.ask_group(index, async |lb, arn| lb.tags(&[arn.to_owned()]).await).await?;
        Ok(tags.and_then(|mut all| all.pop_first()).map(|(_, tags)| tags))
    }

    /// Claims a slot: writes the claim to the record, then to the tag. Returns the claim's nonce once the write is
    /// acknowledged.
    pub(crate) async fn claim_slot(&mut self, index: usize, max_unavailable: u32) -> Step<String> {
        self.wait_out_tag_writes(index).await?;
        let mut failures = 0;
        loop {
            // Each attempt has its own nonce. If an earlier one lands after a wipe, other nodes have not seen it settle, so
            // it must not be confirmed.
            let nonce = self.nonce();
            let claim = ClaimOnRecord { nonce: nonce.clone(), max_unavailable, at: self.machine.utc() };
            if let Some(group) = self.operation.live_group(index) {
                group.claim = Some(claim);
            }
            let error = match self.send_tag(index, Some(LeaseState::Held)).await? {
                Sent::Applied => return Ok(nonce),
                Sent::NotApplied(error) if error.is_too_many_tags() => {
                    self.forget_lease(index)?;
                    let reason = "the target group has 50 tags, so there is no room for a lease; remove some, or run \
                                  `node-agent lease gc` if they are leases of terminated instances";
                    return Err(StepError::Blocked(reason.to_owned()));
                }
                Sent::NotApplied(error) if error.is_final() => {
                    self.forget_lease(index)?;
                    return Err(StepError::Misconfigured(error.to_string()));
                }
                Sent::NotApplied(error) | Sent::InDoubt(error) => error,
            };
            self.back_off(&error, failures).await?;
            failures += 1;
        }
    }

    /// Takes a place in the queue, or refreshes it. False: the group has no room for another tag.
    pub(crate) async fn queue_up(&mut self, index: usize, number: u64) -> Step<bool> {
        let now = self.now()?;
        let nonce = self.nonce();
        let Some(group) = self.operation.live_group(index) else { return Ok(true) };
        let first = group.ticket.is_none() && group.claim.is_none() && group.tags_in_doubt.is_empty();
        let before = group.ticket.take().filter(|ticket| ticket.number == number);
        group.ticket = Some(match before {
            Some(ticket) => ticket.refreshed(now),
            None => TicketOnRecord { number, nonce, sequence: 0, written: now },
        });
        group.claim = None;
        let mut failures = 0;
        loop {
            match self.send_tag(index, Some(LeaseState::Waiting)).await? {
                Sent::Applied => return Ok(true),
                Sent::NotApplied(error) if error.is_too_many_tags() => {
                    self.forget_lease(index)?;
                    return Ok(false);
                }
                Sent::NotApplied(error) if error.is_final() => {
                    if first && failures == 0 {
                        // No tag was written, so there is none to remove.
                        self.forget_lease(index)?;
                    }
                    return Err(StepError::Misconfigured(error.to_string()));
                }
                Sent::NotApplied(error) | Sent::InDoubt(error) => self.back_off(&error, failures).await?,
            }
            failures += 1;
        }
    }

    /// Releases our lease or our place in the queue, or replaces it with `failed`. Retries until the API acknowledges it.
    pub(crate) async fn release(
        &mut self,
        index: usize,
        leave: Option<LeaseState>,
    ) -> Result<(), DriveError> {
        let group = self.operation.live_group(index);
        if group.is_some_and(|group| group.claim.is_some() || group.ticket.is_some()) {
            self.clear_lease(index, leave).await?;
        }
        self.forget_lease(index)
    }

    /// Removes our tag, or replaces it with `failed`, even if no lease is on record.
    pub(crate) async fn clear_lease(
        &mut self,
        index: usize,
        leave: Option<LeaseState>,
    ) -> Result<(), DriveError> {
        let mut failures = 0;
        loop {
            let error = match self.send_tag(index, leave).await? {
                Sent::Applied => {
                    self.failing = None;
                    return Ok(());
                }
                Sent::NotApplied(error) if error.is_group_gone() => return self.group_is_gone(index),
                Sent::NotApplied(error) | Sent::InDoubt(error) => error,
            };
            let pause = self.back_off_time(&error, failures);
            let seconds = pause.as_secs_f64();
            tracing::warn!("failed to release the lease: {error}; trying again in {seconds:.1} s");
            self.progress.waiting(self.operation.phase.name(), "for the API to release the lease", None);
            self.failed_call(&error).await?;
            self.rest_unless_denied(pause).await?;
            failures += 1;
        }
    }

    /// Releases every lease, the last one first. A node that had failed before stays marked as failed.
    pub(crate) async fn release_all(&mut self) -> Result<(), DriveError> {
        for index in (0..self.operation.groups.len()).rev() {
            let failed_before = self.operation.groups.get(index).is_some_and(|group| group.failed_before);
            self.release(index, failed_before.then_some(LeaseState::Failed)).await?;
        }
        Ok(())
    }

    /// R2: after a tag write without an answer, waits until it can no longer take effect. True when there was such a write:
    /// it may have taken effect, also while no agent was running.
    pub(crate) async fn wait_out_tag_writes(&mut self, index: usize) -> Step<bool> {
        let quarantine = self.operation.request.settings.quarantine.0;
        let had_some = self.operation.live_group(index).is_some_and(|group| !group.tags_in_doubt.is_empty());
        loop {
            let now = self.now()?;
            let Some(group) = self.operation.live_group(index) else { return Ok(had_some) };
            let Some(left) = group.tags_in_doubt.left(&now, quarantine) else {
                group.tags_in_doubt.forget();
                return Ok(had_some);
            };
            let what = format!("{} until an unanswered lease write can no longer take effect", rounded(left));
            self.look_again(left, &what).await?;
        }
    }
}
