//! The ELBv2 API as this program uses it: eight calls, our own types, and errors that say whether a change may
//! have been applied.
//!
//! The SDK's retries are off. A hidden retry of AddTags, RemoveTags or DeregisterTargets could land after a later
//! write (docs/lease.md). The caller retries; it knows the deadline.

mod answer;
mod error;

use crate::aws::response_limit::Bound;
use crate::aws::target_group::{Attributes, Target, TargetGroup, TargetState};
use answer::{description, named, target_group, target_state, unknown};
use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{DescribeTargetHealthInputIncludeEnum, Tag};
use error::unexpected;
use std::collections::BTreeMap;

pub use answer::Unsupported;
pub(crate) use error::failed;
pub use error::{CallError, CallErrorKind};

/// The longest answer that is read, in bytes. The longest real ones, a page of 400 target groups or a group of a thousand
/// targets, stay below a megabyte.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// The most pages of target groups that are read: 40,000 groups, where an account may have 3,000 in a region.
const MOST_PAGES: usize = 100;

/// A client for one region.
#[derive(Debug, Clone)]
pub struct LoadBalancer {
    client: Client,
}

type Answer<T> = Result<T, CallError>;

impl LoadBalancer {
    /// Wraps a client whose retries are off.
    #[expect(clippy::needless_pass_by_value, reason = "its owner has no other use for it")]
    pub fn new(client: Client) -> LoadBalancer {
        let config = client.config().to_builder().interceptor(Bound(LONGEST_ANSWER)).build();
        LoadBalancer { client: Client::from_conf(config) }
    }

    /// DescribeTargetGroups: the named ones by ARN or name; all of the account and region when none is named.
    /// Kinds that this program cannot drain come back as [`Unsupported`].
    pub async fn target_groups(&self, named: &[String]) -> Answer<Vec<Result<TargetGroup, Unsupported>>> {
        let (arns, names): (Vec<_>, Vec<_>) =
            named.iter().cloned().partition(|name| name.starts_with("arn:"));
        let mut groups = Vec::new();
        // The API takes ARNs or names, not both in one call.
        for (arns, names) in [(arns, Vec::new()), (Vec::new(), names)] {
            if arns.is_empty() && names.is_empty() && !named.is_empty() {
                continue;
            }
            let mut marker = None;
            for page in 1.. {
                if page > MOST_PAGES {
                    return Err(unexpected("DescribeTargetGroups", &format!("more than {MOST_PAGES} pages")));
                }
                let request = self.client.describe_target_groups().set_marker(marker);
                let request = request.set_target_group_arns((!arns.is_empty()).then(|| arns.clone()));
                let request = request.set_names((!names.is_empty()).then(|| names.clone()));
                let answer = request.send().await.map_err(failed("DescribeTargetGroups"))?;
                groups.extend(answer.target_groups().iter().map(target_group));
                marker = answer.next_marker().map(ToOwned::to_owned);
                if marker.is_none() {
                    break;
                }
            }
            if named.is_empty() {
                break;
            }
        }
        Ok(groups)
    }

    /// DescribeTargetGroupAttributes.
    pub async fn attributes(&self, arn: &str) -> Answer<Attributes> {
        let request = self.client.describe_target_group_attributes().target_group_arn(arn);
        let answer = request.send().await.map_err(failed("DescribeTargetGroupAttributes"))?;
        let pairs = answer.attributes().iter();
        let pairs = pairs.filter_map(|pair| Some((pair.key()?.to_owned(), pair.value()?.to_owned())));
        Ok(Attributes::from_pairs(&pairs.collect()))
    }

    /// DescribeTargetHealth of the whole group: one call shows our own targets and all others.
    pub async fn target_health(&self, arn: &str) -> Answer<Vec<TargetState>> {
        self.health(arn, &[]).await
    }

    /// DescribeTargetHealth of these pairs only. A pair that is missing in the answer is unknown.
    pub async fn target_health_of(&self, arn: &str, pairs: &[Target]) -> Answer<Vec<TargetState>> {
        self.health(arn, pairs).await
    }

    async fn health(&self, arn: &str, pairs: &[Target]) -> Answer<Vec<TargetState>> {
        let request = self.client.describe_target_health().target_group_arn(arn);
        // Without it the answer may leave out that a zonal shift is active.
        let request = request.include(DescribeTargetHealthInputIncludeEnum::All);
        let request =
            request.set_targets((!pairs.is_empty()).then(|| pairs.iter().map(description).collect()));
        let answer = request.send().await.map_err(failed("DescribeTargetHealth"))?;
        let states: Option<Vec<_>> = answer.target_health_descriptions().iter().map(target_state).collect();
        // Ignoring it would make the fleet look smaller than it is.
        let mut states =
            states.ok_or_else(|| unexpected("DescribeTargetHealth", "a target without an id"))?;
        // A pair that is missing in the answer may still be registered.
        let missing = pairs.iter().filter(|pair| !states.iter().any(|state| state.target == **pair));
        let missing: Vec<_> = missing.cloned().map(unknown).collect();
        states.extend(missing);
        Ok(states)
    }

    /// DescribeTags: the tags of each group, by ARN.
    pub async fn tags(&self, arns: &[String]) -> Answer<BTreeMap<String, BTreeMap<String, String>>> {
        let mut all = BTreeMap::new();
        // The API takes up to 20 ARNs per call.
        for some in arns.chunks(20) {
            let request = self.client.describe_tags().set_resource_arns(Some(some.to_vec()));
            let answer = request.send().await.map_err(failed("DescribeTags"))?;
            for description in answer.tag_descriptions() {
                let pair = |tag: &Tag| Some((named(tag.key())?, tag.value().unwrap_or_default().to_owned()));
                let tags: Option<_> = description.tags().iter().map(pair).collect();
                let tags = tags.ok_or_else(|| unexpected("DescribeTags", "a tag without a key"))?;
                all.insert(description.resource_arn().unwrap_or_default().to_owned(), tags);
            }
            // The answer lists groups without tags, too. A group that is missing must not look like one without leases.
            if let Some(arn) = some.iter().find(|arn| !all.contains_key(*arn)) {
                return Err(unexpected("DescribeTags", &format!("no entry for {arn}")));
            }
        }
        Ok(all)
    }

    /// AddTags with one tag, which overwrites what was there.
    pub async fn add_tag(&self, arn: &str, key: &str, value: &str) -> Answer<()> {
        let tag = Tag::builder().key(key).value(value).build();
        let request = self.client.add_tags().resource_arns(arn).tags(tag);
        request.send().await.map(drop).map_err(failed("AddTags"))
    }

    /// RemoveTags with one key.
    pub async fn remove_tag(&self, arn: &str, key: &str) -> Answer<()> {
        let request = self.client.remove_tags().resource_arns(arn).tag_keys(key);
        request.send().await.map(drop).map_err(failed("RemoveTags"))
    }

    /// DeregisterTargets with exactly these pairs.
    pub async fn deregister(&self, arn: &str, pairs: &[Target]) -> Answer<()> {
        let request = self.client.deregister_targets().target_group_arn(arn);
        let request = request.set_targets(Some(pairs.iter().map(description).collect()));
        request.send().await.map(drop).map_err(failed("DeregisterTargets"))
    }

    /// RegisterTargets with exactly these pairs.
    pub async fn register(&self, arn: &str, pairs: &[Target]) -> Answer<()> {
        let request = self.client.register_targets().target_group_arn(arn);
        let request = request.set_targets(Some(pairs.iter().map(description).collect()));
        request.send().await.map(drop).map_err(failed("RegisterTargets"))
    }
}
