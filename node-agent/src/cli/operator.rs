//! What an operator's commands share: the groups they act on, and patience with the API. They need no instance id, so
//! they run on a laptop as well as on a node.

use crate::agent::failure::Complaint;
use crate::agent::gather;
use crate::aws::load_balancer::{CallError, LoadBalancer};
use crate::aws::own_groups::{self, MembershipError};
use crate::aws::target_group::TargetGroup;
use crate::cli::say::say;
use crate::exit;
use crate::lease::operator::{Found, Tags};
use crate::settings::Settings;
use std::time::Duration;

/// A call is made this often before it counts as failed.
const ATTEMPTS: u32 = 5;
/// The pause after the first failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Somebody who looks after target groups.
pub(super) struct Operator {
    pub(super) load_balancer: LoadBalancer,
    pub(super) region: String,
    /// The named groups, or all that are tagged as managed.
    pub(super) groups: Vec<TargetGroup>,
    settle: Duration,
}

/// What is known of a change after the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// It has been made.
    Acknowledged,
    /// The answer was lost: it may have been made, or may be yet.
    Unknown,
}

impl Operator {
    pub(super) async fn new(settings: &Settings) -> Result<Operator, Complaint> {
        let (load_balancer, region) = gather::reach(settings).await?;
        let mut operator = Operator { load_balancer, region, groups: Vec::new(), settle: settings.settle.0 };
        operator.groups = operator.find(&settings.target_groups).await?;
        Ok(operator)
    }

    async fn find(&self, named: &[String]) -> Result<Vec<TargetGroup>, Complaint> {
        let find = async |lb: &LoadBalancer| match own_groups::at_least_one(lb, named).await {
            Err(MembershipError::Call(error)) => Err(error),
            answer => Ok(answer),
        };
        self.ask(find).await?.map_err(|error| Complaint::new(exit::USAGE, error))
    }

    /// A call that may be made again: a read, or a write of the same value to a key that no agent writes.
    pub(super) async fn ask<T>(
        &self,
        call: impl AsyncFn(&LoadBalancer) -> Result<T, CallError>,
    ) -> Result<T, Complaint> {
        self.again_while(call, |error| !error.is_final()).await.map_err(|error| complaint(&error))
    }

    /// A change of a lease tag. It is made again only when it was certainly not applied (docs/lease.md, R1 and R5).
    pub(super) async fn change(
        &self,
        call: impl AsyncFn(&LoadBalancer) -> Result<(), CallError>,
    ) -> Result<Sent, Complaint> {
        match self.again_while(call, CallError::is_throttled).await {
            Ok(()) => Ok(Sent::Acknowledged),
            Err(error) if error.may_have_been_applied() => {
                tracing::warn!("{error}: the change may have been made or not; looking");
                Ok(Sent::Unknown)
            }
            Err(error) => Err(complaint(&error)),
        }
    }

    async fn again_while<T>(
        &self,
        call: impl AsyncFn(&LoadBalancer) -> Result<T, CallError>,
        worth_it: impl Fn(&CallError) -> bool,
    ) -> Result<T, CallError> {
        let mut failures = 0;
        loop {
            match call(&self.load_balancer).await {
                Err(error) if failures + 1 < ATTEMPTS && worth_it(&error) => {
                    tracing::warn!("{error}; trying again");
                    tokio::time::sleep(FIRST_PAUSE * (1 << failures)).await;
                    failures += 1;
                }
                answer => return answer,
            }
        }
    }

    pub(super) async fn tags(&self, group: &TargetGroup) -> Result<Tags, Complaint> {
        let arns = std::slice::from_ref(&group.arn);
        let mut tags = self.ask(async |lb| lb.tags(arns).await).await?;
        Ok(tags.remove(&group.arn).unwrap_or_default())
    }

    /// Reads may be stale for a while: what is read after this shows what was written before.
    pub(super) async fn settle(&self) {
        tracing::info!("waiting {:.1} s for the tags to settle", self.settle.as_secs_f64());
        tokio::time::sleep(self.settle).await;
    }

    /// Removes a lease tag and says so.
    pub(super) async fn remove(&self, group: &TargetGroup, lease: &Found) -> Result<(), Complaint> {
        let sent = self.change(async |lb| lb.remove_tag(&group.arn, &lease.key).await).await?;
        if sent == Sent::Unknown {
            self.settle().await;
            if self.tags(group).await?.contains_key(&lease.key) {
                return Err(Complaint::new(
                    exit::NOTHING_CHANGED,
                    anyhow::anyhow!(
                        "failed to remove {} from {}: the answer was lost and the tag is still there; run the command again",
                        lease.key,
                        group.name
                    ),
                ));
            }
        }
        say(&format!("{}: removed {} ({})\n", group.name, lease.key, lease.reading.word()));
        Ok(())
    }

    /// The names of the groups, for people.
    pub(super) fn names(&self) -> String {
        self.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// A call that failed, with what can be done about it.
pub(super) fn complaint(error: &CallError) -> Complaint {
    let code = if error.is_final() { exit::USAGE } else { exit::NOTHING_CHANGED };
    Complaint::new(code, error.clone())
}
