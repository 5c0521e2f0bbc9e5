//! Writing our own lease tags. Every send is on record before it is made, and stays there until its outcome is
//! known or can no longer come (docs/lease.md, rules R1, R2 and R4).

use crate::aws::load_balancer::CallError;
use crate::aws::target_group::TargetType;
use crate::lease::tag::PREFIX;
use crate::lease::{Hold, LeaseTag, Leases, Reading};
use crate::maintenance::context::{DriveError, Driver, Step, StepError};
use crate::record::phase::Phase;
use crate::record::{ClaimOnRecord, TicketOnRecord};
use rand::RngExt;
use std::collections::BTreeMap;
use std::time::Duration;

/// While out, the tag is looked for this often: whoever manages the group's tags may have wiped it.
pub(crate) const KEEP_EVERY: Duration = Duration::from_secs(30);

impl Driver {
    /// The key of our lease tag.
    pub(crate) fn lease_key(&self) -> String {
        let id = &self.identity.instance_id;
        match &self.operation.request.settings.lease_role_id {
            Some(role) => format!("{PREFIX}{role}:{id}"),
            None => format!("{PREFIX}{id}"),
        }
    }

    /// The tags of one group.
    pub(crate) async fn group_tags(&mut self, index: usize) -> Step<Option<BTreeMap<String, String>>> {
        let tags = self.ask_group(index, async |lb, arn| lb.tags(&[arn.to_owned()]).await).await?;
        Ok(tags.and_then(|mut all| all.pop_first()).map(|(_, tags)| tags))
    }

    /// Claims a slot: the claim goes on record, then into the tag. Returns the claim's epoch once the write is
    /// acknowledged.
    pub(crate) async fn claim_slot(&mut self, index: usize, max_unavailable: u32) -> Step<String> {
        self.wait_out_unresolved(index).await?;
        let mut failures = 0;
        loop {
            // Each attempt is a claim of its own: should an earlier one land after a wipe, when others have not seen
            // it settle, it must not pass for ours.
            let epoch = self.nonce();
            let claim = ClaimOnRecord { epoch: epoch.clone(), max_unavailable, at: self.machine.utc() };
            if let Some(group) = self.operation.groups.get_mut(index) {
                group.claim = Some(claim);
            }
            let error = match self.send_tag(index, Some(Hold::Held)).await? {
                Ok(()) => return Ok(epoch),
                Err(error) if error.is_too_many_tags() => {
                    self.forget_lease(index)?;
                    let reason = "the target group has its 50 tags, there is no room for a lease; remove some, or run \
                                  `node-agent lease gc` if they are leases of terminated instances";
                    return Err(StepError::Blocked(reason.to_owned()));
                }
                Err(error) if error.is_final() => {
                    self.forget_lease(index)?;
                    return Err(StepError::Misconfigured(format!("{error}; {}", error.advice())));
                }
                Err(error) => error,
            };
            self.back_off(&error, failures).await?;
            failures += 1;
        }
    }

    /// Takes a place in the queue, or shows there that we live. False: the group has no room for another tag.
    pub(crate) async fn queue_up(&mut self, index: usize, number: u64) -> Step<bool> {
        let now = self.now()?;
        let epoch = self.nonce();
        let Some(group) = self.operation.live_group(index) else { return Ok(true) };
        let first = group.ticket.is_none() && group.claim.is_none() && group.tags_in_doubt.is_empty();
        let before = group.ticket.take().filter(|ticket| ticket.number == number);
        group.ticket = Some(match before {
            Some(ticket) => ticket.shown_alive(now),
            None => TicketOnRecord { number, epoch, sequence: 0, written: now },
        });
        group.claim = None;
        let mut failures = 0;
        loop {
            match self.send_tag(index, Some(Hold::Waiting)).await? {
                Ok(()) => return Ok(true),
                Err(error) if error.is_too_many_tags() => {
                    self.forget_lease(index)?;
                    return Ok(false);
                }
                Err(error) if error.is_final() => {
                    if first && failures == 0 {
                        // There is no tag to remove, and without the permission there would be no way to.
                        self.forget_lease(index)?;
                    }
                    return Err(StepError::Misconfigured(format!("{error}; {}", error.advice())));
                }
                Err(error) => self.back_off(&error, failures).await?,
            }
            failures += 1;
        }
    }

    fn nonce(&mut self) -> String {
        format!("{:016x}", self.random.random::<u64>())
    }

    /// Gives our lease back, or our place in the queue, or leaves `failed` behind. Goes on until the API acknowledges it.
    pub(crate) async fn give_back(&mut self, index: usize, leave: Option<Hold>) -> Result<(), DriveError> {
        if self
            .operation
            .live_group(index)
            .is_some_and(|group| group.claim.is_some() || group.ticket.is_some())
        {
            self.write_off(index, leave).await?;
        }
        self.forget_lease(index)
    }

    /// Removes our tag, or leaves `failed` behind, whatever is on record.
    pub(crate) async fn write_off(&mut self, index: usize, leave: Option<Hold>) -> Result<(), DriveError> {
        let mut failures = 0;
        loop {
            let error = match self.send_tag(index, leave).await? {
                Ok(()) => return Ok(()),
                Err(error) if error.is_group_gone() => return self.group_is_gone(index),
                Err(error) => error,
            };
            let pause = self.backing_off(&error, failures);
            let (seconds, advice) = (pause.as_secs_f64(), error.advice());
            tracing::warn!(
                "failed to give the lease back: {error}; trying again in {seconds:.1} s; {advice}"
            );
            self.progress.waiting(self.operation.phase.name(), "the API to take the lease back", None);
            tokio::time::sleep(pause).await;
            failures += 1;
        }
    }

    /// Gives every lease back, the last one taken first. A node that had failed before stays marked as failed.
    pub(crate) async fn give_back_all(&mut self) -> Result<(), DriveError> {
        for index in (0..self.operation.groups.len()).rev() {
            let failed_before = self.operation.groups.get(index).is_some_and(|group| group.failed_before);
            self.give_back(index, failed_before.then_some(Hold::Failed)).await?;
        }
        Ok(())
    }

    /// The tag is gone, or never came to be: no trace of it stays on record.
    fn forget_lease(&mut self, index: usize) -> Result<(), DriveError> {
        let Some(group) = self.operation.groups.get_mut(index) else { return Ok(()) };
        let had = group.claim.take().is_some() | group.ticket.take().is_some();
        if had { self.save() } else { Ok(()) }
    }

    /// Sends one tag write, on record before it is sent and resolved as soon as its outcome is known.
    pub(crate) async fn send_tag(
        &mut self,
        index: usize,
        hold: Option<Hold>,
    ) -> Result<Result<(), CallError>, DriveError> {
        let value = hold.map(|hold| self.lease_tag(index, hold).to_string());
        self.send_value(index, value).await
    }

    async fn send_value(
        &mut self,
        index: usize,
        value: Option<String>,
    ) -> Result<Result<(), CallError>, DriveError> {
        let now = self.now()?;
        let key = self.lease_key();
        let Some(group) = self.operation.groups.get_mut(index) else { return Ok(Ok(())) };
        let arn = group.arn.clone();
        let call = group.tags_in_doubt.begin(now);
        self.save()?;
        let answer = match &value {
            Some(value) => self.load_balancer.add_tag(&arn, &key, value).await,
            None => self.load_balancer.remove_tag(&arn, &key).await,
        };
        // What was answered is resolved; the next write of the record takes it off.
        let resolved = answer.as_ref().err().is_none_or(|error| !error.may_have_been_applied());
        if let Some(group) = self.operation.groups.get_mut(index).filter(|_| resolved) {
            group.tags_in_doubt.resolve(call);
        }
        Ok(answer)
    }

    fn lease_tag(&self, index: usize, hold: Hold) -> LeaseTag {
        let group = self.operation.groups.get(index);
        let claim = group.and_then(|group| group.claim.as_ref());
        let ticket = group.and_then(|group| group.ticket.as_ref());
        let by_address = group.filter(|group| group.target_type == TargetType::Ip);
        let epoch = claim.map(|claim| &claim.epoch).or(ticket.map(|ticket| &ticket.epoch));
        LeaseTag {
            hold,
            epoch: epoch.cloned().unwrap_or_default(),
            ticket: ticket.map_or(0, |ticket| ticket.number),
            sequence: ticket.map_or(0, |ticket| ticket.sequence),
            max_unavailable: claim.map(|claim| claim.max_unavailable),
            target: by_address.and_then(|group| group.pairs.first()).map(|pair| pair.id.clone()),
            operation: self.operation.request.id.clone(),
            at: claim.map(|claim| claim.at).or(ticket.map(|ticket| ticket.written.utc)),
        }
    }

    /// R2: after a write with unknown outcome no new claim until that write can no longer land.
    /// True when there was such a write: it may have landed, even if its time passed while nobody of us was running.
    pub(crate) async fn wait_out_unresolved(&mut self, index: usize) -> Step<bool> {
        let quarantine = self.operation.request.settings.quarantine.0;
        let had_some = self.operation.live_group(index).is_some_and(|group| !group.tags_in_doubt.is_empty());
        loop {
            let now = self.now()?;
            let Some(group) = self.operation.live_group(index) else { return Ok(had_some) };
            let Some(left) = group.tags_in_doubt.left(&now, quarantine) else {
                group.tags_in_doubt.forget();
                return Ok(had_some);
            };
            self.look_again(left, "an earlier lease write, whose answer was lost, to be past").await?;
        }
    }

    /// While out: writes the lease again if somebody wiped it. An operator's `broken` is left alone.
    pub(crate) async fn keep_lease(&mut self) -> Result<(), DriveError> {
        if self.lease_seen.elapsed() < KEEP_EVERY {
            return Ok(());
        }
        self.lease_seen = tokio::time::Instant::now();
        let holding = self.operation.groups.iter().enumerate();
        let holding: Vec<_> = holding.filter(|(_, group)| group.claim.is_some() && !group.gone).collect();
        let arns: Vec<_> = holding.iter().map(|(_, group)| group.arn.clone()).collect();
        let indices: Vec<_> = holding.iter().map(|(index, _)| *index).collect();
        // A failed look is made good by the next one.
        let Ok(tags) = self.load_balancer.tags(&arns).await else { return Ok(()) };
        for (index, arn) in indices.into_iter().zip(arns) {
            let Some(tags) = tags.get(&arn) else { continue };
            let halted = self.operation.phase == Phase::Halted;
            let shown = Leases::from_tags(tags).of(&self.identity.instance_id).map(Reading::hold);
            let wiped = shown.is_none();
            // The change from `held` to `halted` may have failed when it was due.
            let unmarked = halted && shown == Some(Some(Hold::Held));
            if wiped || unmarked {
                if wiped {
                    tracing::warn!(
                        "our lease on {arn} was removed by somebody else while we are out: writing it again"
                    );
                }
                // Not the claim that has settled: it takes the slot, and validating again does not take it for ours.
                let hold = if halted { Hold::Halted } else { Hold::Held };
                let again = LeaseTag { epoch: self.nonce(), ..self.lease_tag(index, hold) };
                if let Err(error) = self.send_value(index, Some(again.to_string())).await? {
                    tracing::warn!("{error}");
                }
            }
        }
        Ok(())
    }
}
