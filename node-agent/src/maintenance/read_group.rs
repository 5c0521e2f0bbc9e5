//! Reads a target group for a decision: attributes first, target health last.

use crate::aws::load_balancer::{CallError, LoadBalancer};
use crate::aws::target_group::Attributes;
use crate::lease::snapshot::GroupSnapshot;

/// Reads a group.
///
/// # Errors
/// The first call that failed.
pub async fn read(load_balancer: &LoadBalancer, arn: &str) -> Result<GroupSnapshot, CallError> {
    let attributes = load_balancer.attributes(arn).await?;
    read_with(load_balancer, arn, attributes).await
}

/// Reads a group whose attributes are known.
///
/// # Errors
/// The first call that failed.
pub async fn read_with(
    load_balancer: &LoadBalancer,
    arn: &str,
    attributes: Attributes,
) -> Result<GroupSnapshot, CallError> {
    let tags = load_balancer.tags(&[arn.to_owned()]).await?.remove(arn).unwrap_or_default();
    let targets = load_balancer.target_health(arn).await?;
    Ok(GroupSnapshot::of(attributes, &tags, targets))
}
