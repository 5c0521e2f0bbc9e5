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
use std::collections::BTreeMap;

pub use answer::Unsupported;
pub use error::{CallError, CallErrorKind};
pub(crate) use error::{failed, unexpected};

/// The longest answer that is read, in bytes. The longest real ones, a page of 400 target groups or a group of a thousand
/// targets, stay below a megabyte.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// The API takes up to 20 names or ARNs in one call.
pub(crate) const MOST_ASKED: usize = 20;

/// A client for one region.
#[derive(Debug, Clone)]
pub struct LoadBalancer {
    client: Client,
}

type Answer<T> = Result<T, CallError>;

/// Some target groups, and the marker of the next page.
pub type Page = (Vec<Result<TargetGroup, Unsupported>>, Option<String>);

impl LoadBalancer {
    /// Wraps a client whose retries are off.
    #[expect(clippy::needless_pass_by_value, reason = "its owner has no other use for it")]
    pub fn new(client: Client) -> LoadBalancer {
        let config = client.config().to_builder().interceptor(Bound(LONGEST_ANSWER)).build();
        LoadBalancer { client: Client::from_conf(config) }
    }

    /// DescribeTargetGroups: the named ones, by ARN or name. Kinds that this program cannot drain come back as
    /// [`Unsupported`].
    pub async fn target_groups(&self, named: &[String]) -> Answer<Vec<Result<TargetGroup, Unsupported>>> {
        let (arns, names): (Vec<_>, Vec<_>) =
            named.iter().cloned().partition(|name| name.starts_with("arn:"));
        let request = || self.client.describe_target_groups();
        // The API takes ARNs or names, not both in one call.
        let by_arn = arns.chunks(MOST_ASKED).map(|arns| request().set_target_group_arns(Some(arns.to_vec())));
        let by_name = names.chunks(MOST_ASKED).map(|names| request().set_names(Some(names.to_vec())));
        let mut groups = Vec::new();
        for request in by_arn.chain(by_name) {
            let answer = request.send().await.map_err(failed("DescribeTargetGroups"))?;
            groups.extend(answer.target_groups().iter().map(target_group));
        }
        Ok(groups)
    }

    /// DescribeTargetGroups: one page of all groups of the account and region, and the marker of the next page.
    pub async fn page_of_target_groups(&self, marker: Option<String>) -> Answer<Page> {
        let request = self.client.describe_target_groups().set_marker(marker);
        let answer = request.send().await.map_err(failed("DescribeTargetGroups"))?;
        let groups = answer.target_groups().iter().map(target_group).collect();
        Ok((groups, answer.next_marker().map(ToOwned::to_owned)))
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
        for some in arns.chunks(MOST_ASKED) {
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
