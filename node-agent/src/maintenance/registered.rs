//! Is anything of this node registered although it is out? Any port and any of its addresses count.
//!
//! Whether our own targets have drained is another question: `steps/drain.rs` asks for exactly those.

use crate::aws::load_balancer::CallError;
use crate::aws::target_group::{TargetHealth, TargetState, TargetType};
use crate::lease::{Leases, Reading};
use crate::maintenance::context::{DriveError, Driver, Step};
use crate::record::Group;
use tokio::time::Instant;

impl Driver {
    /// Reads the addresses of this node again. What is no longer ours is neither deregistered nor registered: another
    /// machine may have the address.
    pub(crate) async fn read_addresses(&mut self) {
        if !self.operation.live_groups().any(|group| group.target_type == TargetType::Ip) {
            return;
        }
        match self.addresses.read().await {
            Ok(Some(addresses)) if !addresses.is_empty() => self.identity.addresses = addresses,
            Ok(_) => return,
            // The last known addresses are the best guess.
            Err(error) => return tracing::warn!("failed to read the addresses of this node: {error}"),
        }
        for group in self.operation.groups.iter_mut().filter(|group| !group.gone) {
            let us = self.identity.own_ids(group.target_type);
            for target in group.forget(|pair| !us.include(&pair.id)) {
                tracing::warn!(
                    "{target} in {} is no longer an address of this node: leaving it as it is",
                    group.name
                );
            }
        }
    }

    /// Whether a read shows the deregistration for certain: right after the call it may still show the state before.
    pub(crate) fn is_past_staleness(&self, index: usize) -> Result<bool, DriveError> {
        let now = self.now()?;
        let group = self.operation.groups.get(index);
        let since = group.and_then(|group| group.deregistered.as_ref()).map(|at| at.at_least_until(&now));
        Ok(since.is_none_or(|since| since > self.operation.request.settings.staleness.0))
    }

    /// What is registered, from one read of each group. New registrations join the record. A group that cannot be read is
    /// left out: the caller looks again later, or does not depend on the API.
    pub(crate) async fn glance_at_registrations(&mut self) -> Result<Vec<Registered>, DriveError> {
        let mut found = Vec::new();
        for index in 0..self.operation.groups.len() {
            let Some(group) = self.operation.live_group(index) else { continue };
            let arn = group.arn.clone();
            match self.load_balancer.target_health(&arn).await {
                Ok(states) => found.extend(self.take_note(index, &states).await?),
                Err(error) if error.is_group_gone() => self.group_is_gone(index)?,
                Err(error) => tracing::warn!("failed to check whether this node is registered: {error}"),
            }
        }
        self.out_seen = Some(Instant::now());
        Ok(found)
    }

    /// Notes what of this node is registered in one group, as it was just read. The addresses are read after the group: one
    /// that was registered in it was ours before.
    async fn take_note(
        &mut self,
        index: usize,
        states: &[TargetState],
    ) -> Result<Option<Registered>, DriveError> {
        self.read_addresses().await;
        let certain = self.is_past_staleness(index)?;
        let Some(group) = self.operation.groups.get_mut(index) else { return Ok(None) };
        let us = self.identity.own_ids(group.target_type);
        // An unknown state does not mean that the target was registered again.
        let known = us.registered(states).filter(|state| state.health != TargetHealth::Unknown);
        let found: Vec<_> =
            known.filter(|state| certain || !group.pairs.contains(&state.target)).cloned().collect();
        let Some(first) = found.first() else { return Ok(None) };
        let what = if group.pairs.contains(&first.target) {
            format!("{} is {first} although we deregistered it", first.target)
        } else {
            format!("{} of this node was registered in {} meanwhile and is {first}", first.target, group.name)
        };
        let joined: Vec<_> = found.into_iter().filter(|state| group.join(&state.target)).collect();
        for state in &joined {
            tracing::warn!("{} of this node was registered in {} meanwhile", state.target, group.name);
        }
        if !joined.is_empty() {
            self.save()?;
        }
        Ok(Some(Registered { index, what }))
    }

    /// As [`Driver::glance_at_registrations`], but each group is read until it answers.
    pub(crate) async fn registrations(&mut self) -> Step<Vec<Registered>> {
        let mut found = Vec::new();
        for index in 0..self.operation.groups.len() {
            let states = self.ask_group(index, async |lb, arn| lb.target_health(arn).await).await?;
            if let Some(states) = states {
                found.extend(self.take_note(index, &states).await?);
            }
        }
        self.out_seen = Some(Instant::now());
        Ok(found)
    }

    /// Checks that nothing of this node is registered.
    ///
    /// # Errors
    /// [`StepError::Blocked`] the first few times, then [`StepError::Failed`].
    ///
    /// [`StepError::Blocked`]: crate::maintenance::context::StepError::Blocked
    /// [`StepError::Failed`]: crate::maintenance::context::StepError::Failed
    pub(crate) async fn check_nothing_registered(&mut self) -> Step {
        match self.registrations().await?.into_iter().next() {
            Some(Registered { what, .. }) => Err(self.interfered(&what)),
            None => Ok(()),
        }
    }

    /// As [`Driver::check_nothing_registered`], unless that was just checked.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn check_still_out(&mut self) -> Step {
        let staleness = self.operation.request.settings.staleness.0;
        if self.out_seen.is_some_and(|seen| seen.elapsed() < staleness) {
            return Ok(());
        }
        self.check_nothing_registered().await
    }

    /// Whether our claim on a group stands, so that the node may leave again without a new one. A removed tag is written
    /// again within half a minute.
    pub(crate) async fn claim_stands(&self, index: usize) -> Result<bool, CallError> {
        let Some(Group { arn, claim, .. }) = self.operation.groups.get(index) else { return Ok(false) };
        if claim.is_none() {
            return Ok(true);
        }
        let tags = self.load_balancer.tags(std::slice::from_ref(arn)).await?.remove(arn).unwrap_or_default();
        Ok(Leases::from_tags(&tags).of(&self.identity.instance_id).is_some_and(Reading::takes_slot))
    }
}

/// Something of this node that is registered although the node is out.
#[derive(Debug)]
pub(crate) struct Registered {
    /// The place of the group in the list.
    pub(crate) index: usize,
    /// What is registered, for people.
    pub(crate) what: String,
}
