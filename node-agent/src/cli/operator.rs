//! What the commands of an operator share: the groups they act on, and retries. They need no instance ID, so they run on
//! a laptop as well as on a node.

use crate::agent::failure::Complaint;
use crate::agent::gather;
use crate::aws::load_balancer::{CallError, LoadBalancer};
use crate::aws::own_groups::{self, MembershipError, Search, patiently};
use crate::aws::target_group::TargetGroup;
use crate::cli::say::say;
use crate::exit;
use crate::lease::operator::{Found, Tags};
use crate::settings::Settings;
use std::time::Duration;

/// Attempts of a call before it counts as failed.
const ATTEMPTS: u32 = 5;
/// The pause after the first failure. It doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The target groups to act on, and the way to them.
pub(super) struct Operator {
    pub(super) load_balancer: LoadBalancer,
    pub(super) region: String,
    /// The groups that were named, or all that are tagged as managed.
    pub(super) groups: Vec<TargetGroup>,
    settle: Duration,
}

/// Whether a change was applied, as far as the call tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// It was applied.
    Acknowledged,
    /// The response was lost: it may have been applied, or may be applied later.
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
        let search = Search::of(named);
        let find =
            async |lb: &LoadBalancer| match patiently(async || own_groups::at_least_one(lb, &search).await)
                .await
            {
                Err(MembershipError::Call(error)) => Err(error),
                answer => Ok(answer),
            };
        self.ask(find).await?.map_err(|error| Complaint::new(exit::USAGE, error))
    }

    /// Makes a call that is safe to repeat: a read, or a write to a key that no agent writes.
    pub(super) async fn ask<T>(
        &self,
        call: impl AsyncFn(&LoadBalancer) -> Result<T, CallError>,
    ) -> Result<T, Complaint> {
        self.again_while(call, |error| !error.is_final()).await.map_err(|error| complaint(&error))
    }

    /// Changes a lease tag. The call is repeated only if it was certainly not applied (docs/lease.md, R1 and R5).
    pub(super) async fn change(
        &self,
        call: impl AsyncFn(&LoadBalancer) -> Result<(), CallError>,
    ) -> Result<Sent, Complaint> {
        match self.again_while(call, CallError::is_throttled).await {
            Ok(()) => Ok(Sent::Acknowledged),
            Err(error) if error.may_have_been_applied() => {
                tracing::warn!("{error}; the change may have been applied: reading the tags");
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
                    tracing::warn!("{error}; retrying");
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

    /// Waits until reads show everything that was written before.
    pub(super) async fn settle(&self) {
        tracing::info!("waiting {:.1} s until reads show the latest tags", self.settle.as_secs_f64());
        tokio::time::sleep(self.settle).await;
    }

    /// Removes a lease tag and prints that.
    pub(super) async fn remove(&self, group: &TargetGroup, lease: &Found) -> Result<(), Complaint> {
        let sent = self.change(async |lb| lb.remove_tag(&group.arn, &lease.key).await).await?;
        if sent == Sent::Unknown {
            self.settle().await;
            if self.tags(group).await?.contains_key(&lease.key) {
                return Err(Complaint::new(
                    exit::NOTHING_CHANGED,
                    anyhow::anyhow!(
                        "failed to remove {} from {}: the response was lost and the tag still exists; run the command again",
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

/// A failed call as a complaint, with advice and exit code.
pub(super) fn complaint(error: &CallError) -> Complaint {
    let code = if error.is_final() { exit::USAGE } else { exit::NOTHING_CHANGED };
    Complaint::new(code, error.clone())
}
