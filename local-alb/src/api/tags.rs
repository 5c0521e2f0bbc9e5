//! DescribeTags, AddTags and RemoveTags. There are no conditional writes: the last writer wins.

use super::answer::{Answer, ApiError, text, within};
use super::listeners;
use super::query::Query;
use super::targets::{known_group, missing, not_too_many};
use crate::model::Model;
use crate::model::tags::{MOST_TAGS, is_legal};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// Load balancers, listeners and rules have no tags here.
pub(super) fn describe(model: &mut Model, now: Instant, query: &Query) -> Answer {
    let untagged = |arn: &str| arn == model.load_balancer_arn() || listeners::is_known(model, arn);
    let arns = resources(model, query, untagged)?;
    let mut out = String::new();
    within(&mut out, "TagDescriptions", |out| {
        for arn in arns {
            within(out, "member", |out| {
                text(out, "ResourceArn", &arn);
                within(out, "Tags", |out| {
                    for (key, value) in model.read_tags(now, &arn) {
                        within(out, "member", |out| {
                            text(out, "Key", key);
                            text(out, "Value", value);
                        });
                    }
                });
            });
        }
    });
    Ok(out)
}

pub(super) fn add(model: &mut Model, now: Instant, query: &Query) -> Answer {
    let arns = resources(model, query, |_| false)?;
    if arns.len() > 1 {
        return Err(ApiError::validation("Only one resource can be tagged at a time"));
    }
    let mut tags: BTreeMap<&str, &str> = BTreeMap::new();
    for tag in query.structures("Tags") {
        let key = tag.get("Key").copied().ok_or_else(|| missing("tags.1.member.key"))?;
        let value = tag.get("Value").copied().unwrap_or_default();
        if !is_legal(key, value) {
            return Err(ApiError::validation(format!(
                "The tag '{key}' has a key or a value that is not allowed"
            )));
        }
        if tags.insert(key, value).is_some() {
            return Err(ApiError::sender(
                "DuplicateTagKeys",
                format!("A tag key was specified more than once: '{key}'"),
            ));
        }
    }
    if tags.is_empty() {
        return Err(missing("tags"));
    }
    let groups = || arns.iter().filter_map(|arn| model.groups.get(arn));
    for group in groups() {
        let now_there = group.tags.now(now);
        let mut keys: BTreeSet<&str> = now_there.keys().map(String::as_str).collect();
        keys.extend(tags.keys());
        if keys.len() > MOST_TAGS {
            return Err(ApiError::sender("TooManyTags", "The maximum number of tags has been reached"));
        }
    }
    for arn in arns {
        if let Some(group) = model.groups.get_mut(&arn) {
            tags.iter().for_each(|(key, value)| group.tags.set(now, key, value));
        }
    }
    Ok(String::new())
}

/// Removing a tag that does not exist succeeds.
pub(super) fn remove(model: &mut Model, now: Instant, query: &Query) -> Answer {
    let arns = resources(model, query, |_| false)?;
    let keys = query.list("TagKeys");
    if keys.is_empty() {
        return Err(missing("tagKeys"));
    }
    for arn in arns {
        if let Some(group) = model.groups.get_mut(&arn) {
            keys.iter().for_each(|key| group.tags.remove(now, key));
        }
    }
    Ok(String::new())
}

/// The ARNs of target groups, and those that are `also` allowed.
fn resources(model: &Model, query: &Query, also: impl Fn(&str) -> bool) -> Result<Vec<String>, ApiError> {
    let arns = query.list("ResourceArns");
    if arns.is_empty() {
        return Err(missing("resourceArns"));
    }
    not_too_many(&arns)?;
    let known =
        |arn: &str| if also(arn) { Ok(arn.to_owned()) } else { known_group(model, arn).map(str::to_owned) };
    arns.into_iter().map(known).collect()
}
