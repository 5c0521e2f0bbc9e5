//! The policy that the owner of a target group sets for all its nodes, as tags on the group.

use std::collections::BTreeMap;

/// The largest K: leases, a queue and the owner's own tags have to fit into the 50 tags of a group.
pub const MOST_UNAVAILABLE: u32 = 20;

/// The tags under `node-agent/` that are not leases, read for each decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// `max-unavailable`, K: how many nodes may be out of service at a time, 1 to 20.
    pub max_unavailable: u32,
    /// `min-healthy`: never fewer healthy nodes than this.
    pub min_healthy: u32,
    /// `fleet-size`, F: how many nodes the group should have. If unset, they are counted.
    pub fleet_size: Option<u32>,
    /// `max-failures`: no node starts while more nodes than this are failed or halted.
    pub max_failures: u32,
    /// `paused`: no node starts, for this reason.
    pub paused: Option<String>,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy { max_unavailable: 1, min_healthy: 0, fleet_size: None, max_failures: 0, paused: None }
    }
}

/// A policy tag that cannot be understood. No node leaves service on a guess.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tag {key} is {value:?}; it must be a whole number from {least} to {most}")]
pub struct BadPolicy {
    key: String,
    value: String,
    least: u32,
    most: u32,
}

impl Policy {
    /// Reads the policy out of a target group's tags.
    ///
    /// # Errors
    /// [`BadPolicy`] names the first tag that is not a number in its range.
    pub fn from_tags(tags: &BTreeMap<String, String>) -> Result<Policy, BadPolicy> {
        let number = |name: &str, least: u32, most: u32| {
            let key = format!("node-agent/{name}");
            let Some(value) = tags.get(&key) else { return Ok(None) };
            match value.trim().parse::<u32>() {
                Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
                _ => Err(BadPolicy { key, value: value.clone(), least, most }),
            }
        };
        Ok(Policy {
            max_unavailable: number("max-unavailable", 1, MOST_UNAVAILABLE)?.unwrap_or(1),
            min_healthy: number("min-healthy", 0, 1000)?.unwrap_or(0),
            fleet_size: number("fleet-size", 1, 1000)?,
            max_failures: number("max-failures", 0, 1000)?.unwrap_or(0),
            paused: tags.get("node-agent/paused").cloned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| (format!("node-agent/{key}"), (*value).to_owned())).collect()
    }

    #[test]
    fn without_tags_one_node_at_a_time() {
        assert_eq!(Policy::from_tags(&BTreeMap::new()), Ok(Policy::default()));
    }

    #[test]
    fn every_tag_is_read() {
        let tags = tags(&[
            ("max-unavailable", "3"),
            ("min-healthy", "5"),
            ("fleet-size", "9"),
            ("max-failures", "1"),
            ("paused", "release day"),
        ]);
        let policy = Policy::from_tags(&tags).unwrap();
        assert_eq!((policy.max_unavailable, policy.min_healthy, policy.fleet_size), (3, 5, Some(9)));
        assert_eq!((policy.max_failures, policy.paused.as_deref()), (1, Some("release day")));
    }

    #[test]
    fn an_invalid_number_is_named_with_its_range() {
        for value in ["two", "0", "21", "-1", ""] {
            let error = Policy::from_tags(&tags(&[("max-unavailable", value)])).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "the tag node-agent/max-unavailable is {value:?}; it must be a whole number from 1 to 20"
                )
            );
        }
    }
}
