//! The state of an Auto Scaling group.

use std::collections::{BTreeMap, BTreeSet};

/// An Auto Scaling group as the API shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AutoScalingGroup {
    /// Minimum size.
    pub min: usize,
    /// Desired capacity.
    pub desired: usize,
    /// Suspended processes.
    pub suspended: BTreeSet<String>,
    /// The ARNs of the attached target groups.
    pub target_groups: Vec<String>,
    /// The lifecycle state of each instance, by id.
    pub instances: BTreeMap<String, String>,
}

impl AutoScalingGroup {
    /// The state that the instance metadata shows: the one that an instance is to reach.
    pub(crate) fn target_state(&self, instance_id: &str) -> Option<&str> {
        match self.instances.get(instance_id)?.as_str() {
            "EnteringStandby" => Some("Standby"),
            "Pending" => Some("InService"),
            state => Some(state),
        }
    }
}
