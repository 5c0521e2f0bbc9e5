//! The configuration file of the binary.

use crate::model::scaling_group::AutoScalingGroup;
use crate::settings::{Instance, Settings, TargetGroupSettings};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The configuration file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address of the ELBv2 API.
    pub api: SocketAddr,
    /// Settings of the load balancer.
    #[serde(default)]
    pub settings: Settings,
    /// The instances.
    #[serde(default)]
    pub instances: Vec<Instance>,
    /// The target groups, each with a listener.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Addresses of the instance metadata services, by instance id.
    #[serde(default)]
    pub imds: BTreeMap<String, SocketAddr>,
    /// The Auto Scaling API and its groups.
    pub auto_scaling: Option<AutoScaling>,
}

/// The Auto Scaling API.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoScaling {
    /// Its address.
    pub api: SocketAddr,
    /// The Auto Scaling groups.
    pub groups: Vec<ScalingGroup>,
}

/// An Auto Scaling group. All its instances start in service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScalingGroup {
    /// Its name.
    pub name: String,
    /// Minimum size.
    pub min: usize,
    /// The names of the attached target groups.
    pub target_groups: Vec<String>,
    /// The ids of its instances.
    pub instances: Vec<String>,
}

impl ScalingGroup {
    /// The group, with the names of its target groups resolved to ARNs.
    ///
    /// # Errors
    /// [`ConfigError::NoTargetGroup`].
    pub fn attached(self, arns: &BTreeMap<String, String>) -> Result<AutoScalingGroup, ConfigError> {
        let unknown = |name| ConfigError::NoTargetGroup { scaling: self.name.clone(), name };
        let arn = |name: String| arns.get(&name).cloned().ok_or_else(|| unknown(name));
        Ok(AutoScalingGroup {
            min: self.min,
            desired: self.instances.len(),
            suspended: BTreeSet::new(),
            target_groups: self.target_groups.into_iter().map(arn).collect::<Result<_, _>>()?,
            instances: self.instances.into_iter().map(|id| (id, "InService".to_owned())).collect(),
        })
    }
}

/// A target group and its listener.
#[derive(Debug, Deserialize)]
pub struct Group {
    /// Address of the listener for client requests.
    pub listen: SocketAddr,
    /// The group.
    #[serde(flatten)]
    pub settings: TargetGroupSettings,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("failed to read the configuration {path}: {cause}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// The file cannot be parsed.
    #[error("failed to parse the configuration {path}: {cause}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The position and the cause.
        cause: toml::de::Error,
    },
    /// An Auto Scaling group names a target group that the file does not define.
    #[error(
        "failed to attach the target group {name} to the Auto Scaling group {scaling}: no target group has this name; \
         add it under [[groups]]"
    )]
    NoTargetGroup {
        /// The Auto Scaling group.
        scaling: String,
        /// The name.
        name: String,
    },
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// [`ConfigError`] with the file, the line and the key.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|cause| ConfigError::Read { path: path.into(), cause })?;
        toml::from_str(&text).map_err(|cause| ConfigError::Parse { path: path.into(), cause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_example_of_the_documentation_is_understood() {
        let config: Config = toml::from_str(include_str!("../example.toml")).unwrap();
        assert_eq!(config.groups[0].settings.health_check.interval, Duration::from_secs(6));
        assert_eq!(config.instances.len(), 3);
        assert_eq!(config.settings.faults.stale_tags, Duration::ZERO);
        assert!(config.auto_scaling.is_none(), "with a group the agent would ask for a decision");
    }

    #[test]
    fn what_the_example_says_of_auto_scaling_is_understood_too() {
        let text = include_str!("../example.toml").replace("#: ", "");
        let scaling = toml::from_str::<Config>(&text).unwrap().auto_scaling.unwrap();
        let arns = BTreeMap::from([("web".to_owned(), "arn:web".to_owned())]);
        assert_eq!(scaling.groups.len(), 1);
        let group = scaling.groups.into_iter().next().unwrap().attached(&arns).unwrap();
        assert_eq!((group.min, group.desired), (2, 3));
        assert_eq!(group.target_groups, ["arn:web"]);
    }

    #[test]
    fn a_target_group_that_is_not_there_is_named() {
        let group = ScalingGroup {
            name: "fleet".into(),
            min: 1,
            target_groups: vec!["wbe".into()],
            instances: vec![],
        };
        let error = group.attached(&BTreeMap::new()).unwrap_err().to_string();
        assert!(error.contains("the target group wbe to the Auto Scaling group fleet"), "{error}");
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = toml::from_str::<Config>("api = \"127.0.0.1:1\"\nsetings = {}\n").unwrap_err();
        assert!(error.to_string().contains("unknown field `setings`"), "{error}");
    }
}
