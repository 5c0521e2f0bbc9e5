//! Keeps the node out while it is drained, and while the command runs: somebody may register it again for hours.
//!
//! The node leaves again whatever the guard, the window and the clients say, for as long as its claim stands: no other node
//! has the slot. After a few times people are told, and it stays as it is.

use crate::maintenance::context::{DriveError, Driver};
use crate::maintenance::lease_writer::Sent;
use crate::maintenance::registered::Registered;
use crate::maintenance::wait::MOST_INTERFERENCES;
use std::time::Duration;
use tokio::time::Instant;

/// How often every group is read.
const LOOK_EVERY: Duration = Duration::from_secs(120);
/// How often people are told that the node is still registered.
const TELL_EVERY: Duration = Duration::from_secs(3600);

impl Driver {
    /// While drained: whether the node has to leave again.
    pub(crate) async fn has_to_leave_again(&mut self) -> Result<bool, DriveError> {
        Ok(!self.registered_again().await?.is_empty())
    }

    /// While the command runs: deregisters what is registered again. The command goes on. The drain follows it.
    pub(crate) async fn leave_again_beside_the_command(&mut self) -> Result<(), DriveError> {
        for Registered { index, .. } in self.registered_again().await? {
            self.operation.drain_again = true;
            match self.deregister_once(index).await? {
                Sent::Applied => tracing::warn!("deregistered again; the command goes on"),
                Sent::NotApplied(error) | Sent::InDoubt(error) => tracing::warn!("{error}"),
            }
        }
        Ok(())
    }

    /// What is registered again and may be deregistered, if it is time to look.
    async fn registered_again(&mut self) -> Result<Vec<Registered>, DriveError> {
        if self.out_seen.is_some_and(|seen| seen.elapsed() < LOOK_EVERY) {
            return Ok(Vec::new());
        }
        let mut leaving = Vec::new();
        let mut staying = None;
        for found in self.glance_at_registrations().await? {
            tracing::warn!("{}", found.what);
            match self.claim_stands(found.index).await {
                Ok(true) => leaving.push(found),
                Ok(false) => {
                    staying = Some(format!("{}, and our lease is gone; bring the node back", found.what));
                }
                Err(error) => tracing::warn!("{error}"),
            }
        }
        if let Some(first) = leaving.first() {
            if self.operation.interferences >= MOST_INTERFERENCES {
                staying = Some(format!(
                    "{}, for the {}th time; find out what registers it",
                    first.what,
                    MOST_INTERFERENCES + 1
                ));
                leaving.clear();
            } else {
                self.operation.interferences = self.operation.interferences.saturating_add(1);
            }
        }
        if let Some(why) = staying {
            self.tell_registered(&why).await;
        }
        Ok(leaving)
    }

    async fn tell_registered(&mut self, why: &str) {
        if self.registered_told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            tracing::error!("requests reach this node although it is in maintenance: {why}");
            self.notify("registered", why).await;
            self.registered_told = Some(Instant::now());
        }
    }
}
