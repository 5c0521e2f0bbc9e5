//! Writes our own lease tags, and keeps them while out. Every write is on record before it is sent, and stays there until
//! its outcome is known or it can no longer take effect (docs/lease.md, rules R1 and R4).

use crate::aws::load_balancer::CallError;
use crate::aws::target_group::TargetType;
use crate::lease::tag;
use crate::lease::{LeaseState, LeaseTag, Leases, Reading};
use crate::maintenance::context::{DriveError, Driver};
use crate::record::phase::Phase;
use rand::RngExt;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How often the tag is checked while out: a tool that manages the group's tags may have removed it.
pub(crate) const KEEP_EVERY: Duration = Duration::from_secs(30);

/// What became of a write.
#[derive(Debug)]
pub(crate) enum Sent {
    /// It was applied, or its group no longer exists.
    Applied,
    /// It was refused.
    NotApplied(CallError),
    /// Its answer was lost: it may take effect until Q has passed.
    InDoubt(CallError),
}

impl Driver {
    /// The key of our lease tag.
    pub(crate) fn lease_key(&self) -> String {
        tag::key(self.operation.request.settings.lease_role_id.as_deref(), &self.identity.instance_id)
    }

    pub(crate) fn nonce(&mut self) -> String {
        format!("{:016x}", self.random.random::<u64>())
    }

    /// Removes the lease from the record: the tag is gone, or was never written.
    pub(crate) fn forget_lease(&mut self, index: usize) -> Result<(), DriveError> {
        let Some(group) = self.operation.groups.get_mut(index) else { return Ok(()) };
        let had = group.claim.take().is_some() | group.ticket.take().is_some();
        if had { self.save() } else { Ok(()) }
    }

    /// Sends one tag write: on record first, and resolved once its outcome is known. `None` removes the tag.
    pub(crate) async fn send_tag(
        &mut self,
        index: usize,
        state: Option<LeaseState>,
    ) -> Result<Sent, DriveError> {
        let value = state.map(|state| self.lease_tag(index, state).to_string());
        self.send_value(index, value).await
    }

    async fn send_value(&mut self, index: usize, value: Option<String>) -> Result<Sent, DriveError> {
        let now = self.now()?;
        let key = self.lease_key();
        let Some(group) = self.operation.live_group(index) else { return Ok(Sent::Applied) };
        let arn = group.arn.clone();
        let call = group.tags_in_doubt.begin(now);
        self.save()?;
        let answer = match &value {
            Some(value) => self.load_balancer.add_tag(&arn, &key, value).await,
            None => self.load_balancer.remove_tag(&arn, &key).await,
        };
        let sent = match answer {
            Ok(()) => Sent::Applied,
            Err(error) if error.may_have_been_applied() => return Ok(Sent::InDoubt(error)),
            Err(error) => Sent::NotApplied(error),
        };
        // The next write of the record removes it.
        if let Some(group) = self.operation.live_group(index) {
            group.tags_in_doubt.resolve(call);
        }
        Ok(sent)
    }

    fn lease_tag(&self, index: usize, state: LeaseState) -> LeaseTag {
        let group = self.operation.groups.get(index);
        let claim = group.and_then(|group| group.claim.as_ref());
        let ticket = group.and_then(|group| group.ticket.as_ref());
        let by_address = group.filter(|group| group.target_type == TargetType::Ip);
        let nonce = claim.map(|claim| &claim.nonce).or(ticket.map(|ticket| &ticket.nonce));
        LeaseTag {
            state,
            nonce: nonce.cloned().unwrap_or_default(),
            ticket: ticket.map_or(0, |ticket| ticket.number),
            sequence: ticket.map_or(0, |ticket| ticket.sequence),
            max_unavailable: claim.map(|claim| claim.max_unavailable),
            target: by_address.and_then(|group| group.pairs.first()).map(|pair| pair.id.clone()),
            operation: self.operation.request.id.clone(),
            at: claim.map(|claim| claim.at).or(ticket.map(|ticket| ticket.written.utc)),
        }
    }

    /// The tags of the groups in which we hold a lease, by ARN. What cannot be read is left out: the next look will do.
    async fn tags_of_held_groups(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let held = self.operation.live_groups().filter(|group| group.claim.is_some());
        let arns: Vec<_> = held.map(|group| group.arn.clone()).collect();
        let gone = match self.load_balancer.tags(&arns).await {
            Ok(tags) => return tags,
            Err(error) => error.is_group_gone() && arns.len() > 1,
        };
        let mut tags = BTreeMap::new();
        // One deleted group fails the call for all.
        for arn in arns.iter().filter(|_| gone) {
            tags.extend(self.load_balancer.tags(std::slice::from_ref(arn)).await.unwrap_or_default());
        }
        tags
    }

    /// While out: writes the lease again if it was removed, or turned into a tag that takes no slot. Keeps an operator's
    /// `broken`.
    pub(crate) async fn keep_lease(&mut self) -> Result<(), DriveError> {
        if self.lease_seen.elapsed() < KEEP_EVERY {
            return Ok(());
        }
        self.lease_seen = Instant::now();
        let halted = self.operation.phase == Phase::Halted;
        let tags = self.tags_of_held_groups().await;
        for index in 0..self.operation.groups.len() {
            let Some(group) = self.operation.live_group(index) else { continue };
            let Some(tags) = tags.get(&group.arn) else { continue };
            let (arn, leases) = (group.arn.clone(), Leases::from_tags(tags));
            let shown = leases.of(&self.identity.instance_id);
            let lost = leases.has_lost_its_slot(&self.identity.instance_id);
            // The change from `held` to `halted` may have failed when it was due.
            let unmarked = halted && shown.and_then(Reading::state) == Some(LeaseState::Held);
            if !lost && !unmarked {
                continue;
            }
            if lost {
                let became = shown
                    .map_or_else(|| "removed".to_owned(), |shown| format!("turned into {}", shown.word()));
                tracing::warn!("our lease on {arn} was {became} while this node is out: writing it again");
            }
            // With a new nonce: it takes the slot, but another validation does not confirm it, because it has not settled.
            let state = if halted { LeaseState::Halted } else { LeaseState::Held };
            let again = LeaseTag { nonce: self.nonce(), ..self.lease_tag(index, state) };
            if let Sent::NotApplied(error) | Sent::InDoubt(error) =
                self.send_value(index, Some(again.to_string())).await?
            {
                tracing::warn!("{error}");
            }
        }
        Ok(())
    }
}
