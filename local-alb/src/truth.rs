//! The actual state of the load balancer, which reads of its API may not show yet.

use crate::load_balancer::LocalAlb;
use crate::model::target::{Target, TargetHealth};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// The actual state of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetView {
    /// The instance id or address.
    pub id: String,
    /// The port it was registered with.
    pub port: u16,
    /// Its health.
    pub state: TargetHealth,
    /// Requests in flight.
    pub in_flight: usize,
}

impl LocalAlb {
    /// The actual state of every target of a group, including those that have left.
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

    /// Counts the instances of a group that are not in service. An instance is in service if all its registered pairs are
    /// healthy; `initial` counts as out. Every instance that was ever registered counts, except retired ones.
    pub fn instances_out(&self, arn: &str) -> usize {
        self.model().instances_out(Instant::now(), arn)
    }

    /// From now on, counts at each change how many instances of a group are not in service.
    pub fn watch_most_out(&self, arn: &str) {
        let now = Instant::now();
        let mut model = self.model();
        let out = model.instances_out(now, arn);
        if let Some(group) = model.groups.get_mut(arn) {
            group.most_out = Some(out);
        }
    }

    /// The most instances of a group that were not in service at one time since [`LocalAlb::watch_most_out`].
    pub fn most_out(&self, arn: &str) -> usize {
        self.model().groups.get(arn).and_then(|group| group.most_out).unwrap_or_default()
    }

    /// The current tags of a group.
    pub fn tags(&self, arn: &str) -> BTreeMap<String, String> {
        self.model().groups.get(arn).map(|group| group.tags.now(Instant::now())).unwrap_or_default()
    }
}
