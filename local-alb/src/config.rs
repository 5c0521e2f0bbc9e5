//! The binary's configuration file.

use crate::settings::{Instance, Settings, TargetGroupSettings};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What the binary starts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the ELBv2 API listens.
    pub api: SocketAddr,
    /// The load balancer's own settings.
    #[serde(default)]
    pub settings: Settings,
    /// The instances there are.
    #[serde(default)]
    pub instances: Vec<Instance>,
    /// The target groups, each with the address of its listener.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Where the metadata service of an instance listens, by instance id.
    #[serde(default)]
    pub imds: BTreeMap<String, SocketAddr>,
}

/// A target group and its listener.
#[derive(Debug, Deserialize)]
pub struct Group {
    /// Where clients send their requests.
    pub listen: SocketAddr,
    /// The group.
    #[serde(flatten)]
    pub settings: TargetGroupSettings,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not to be read.
    #[error("failed to read the configuration {path}: {cause}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// Not understood.
    #[error("failed to understand the configuration {path}: {cause}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        cause: toml::de::Error,
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
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = toml::from_str::<Config>("api = \"127.0.0.1:1\"\nsetings = {}\n").unwrap_err();
        assert!(error.to_string().contains("unknown field `setings`"), "{error}");
    }
}
