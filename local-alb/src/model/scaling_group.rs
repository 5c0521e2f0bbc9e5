//! What there is to know of an Auto Scaling group.

use std::collections::{BTreeMap, BTreeSet};

/// An Auto Scaling group: what it is made with, and what shows of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AutoScalingGroup {
    /// It never has fewer instances.
    pub min: usize,
    /// It wants as many.
    pub desired: usize,
    /// Its processes that are suspended.
    pub suspended: BTreeSet<String>,
    /// The target groups attached to it.
    pub target_groups: Vec<String>,
    /// The life-cycle state of each instance, by id.
    pub instances: BTreeMap<String, String>,
}

/// The group, and what its instances were registered with.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) shown: AutoScalingGroup,
    /// By instance id; pairs of a target group's ARN and a port.
    pub(crate) ports: BTreeMap<String, Vec<(String, u16)>>,
}
