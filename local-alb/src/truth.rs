//! The load balancer as it is, whatever reads of its API may show.

use crate::load_balancer::LocalAlb;
use crate::model::target::{Target, TargetHealth};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// The truth about one target, whatever reads may show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetView {
    /// The instance id or address.
    pub id: String,
    /// The port it was registered with.
    pub port: u16,
    /// Its health.
    pub state: TargetHealth,
    /// Requests under way.
    pub in_flight: usize,
}

impl LocalAlb {
    /// The truth about every target of a group, those that have gone included.
    pub fn targets(&self, arn: &str) -> Vec<TargetView> {
        let now = Instant::now();
        let model = self.model();
        let targets = model.groups.get(arn).into_iter().flat_map(|group| &group.targets);
        let view = |((id, port), target): (&(String, u16), &Target)| TargetView {
            id: id.clone(),
            port: *port,
            state: target.health_at(now),
            in_flight: target.in_flight_now(),
        };
        targets.map(view).collect()
    }

    /// How many instances of a group are not in service right now. Instances that ever belonged to it count, retired ones
    /// do not; one is in service when every pair of it that is registered is healthy. `initial` counts as out.
    pub fn instances_out(&self, arn: &str) -> usize {
        self.model().instances_out(Instant::now(), arn)
    }

    /// The tags of a group as they are.
    pub fn tags(&self, arn: &str) -> BTreeMap<String, String> {
        self.model().groups.get(arn).map(|group| group.tags.now(Instant::now())).unwrap_or_default()
    }
}
