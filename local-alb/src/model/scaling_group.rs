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

/// A group, and how to register its instances again.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) shown: AutoScalingGroup,
    /// Pairs of a target group's ARN and a port, by instance id.
    pub(crate) ports: BTreeMap<String, Vec<(String, u16)>>,
}
