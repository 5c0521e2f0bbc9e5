//! The configuration file of the binary.

use crate::model::scaling_group::AutoScalingGroup;
use crate::settings::{Instance, Settings, TargetGroupSettings};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
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
#[derive(Debug)]
pub struct Group {
    /// Address of the listener for client requests.
    pub listen: SocketAddr,
    /// The group.
    pub settings: TargetGroupSettings,
}

/// By hand, because serde accepts any key beside a flattened structure.
impl<'de> Deserialize<'de> for Group {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Group, D::Error> {
        let mut table = toml::Table::deserialize(deserializer)?;
        let name = table.get("name").and_then(toml::Value::as_str).unwrap_or("without a name").to_owned();
        let wrong =
            |error: &dyn std::fmt::Display| D::Error::custom(format!("the target group {name}: {error}"));
        let listen = table.remove("listen").ok_or_else(|| wrong(&"`listen` is missing"))?;
        Ok(Group {
            listen: listen.try_into().map_err(|error| wrong(&error))?,
            settings: table.try_into().map_err(|error: toml::de::Error| wrong(&error.message()))?,
        })
    }
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
    /// A value makes no sense.
    #[error("failed to use the configuration {path}: {why}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Which value, and what is allowed.
        why: String,
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
        let config: Config =
            toml::from_str(&text).map_err(|cause| ConfigError::Parse { path: path.into(), cause })?;
        config.check().map_err(|why| ConfigError::Wrong { path: path.into(), why })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let faults = &self.settings.faults;
        for (name, rate) in [("error_rate", faults.error_rate), ("lost_answer_rate", faults.lost_answer_rate)]
        {
            if !(0.0..=1.0).contains(&rate) {
                return Err(format!("settings.faults.{name} is {rate}: set it to 0.0 to 1.0"));
            }
        }
        let known = |id: &String| self.instances.iter().any(|instance| instance.id == *id);
        if let Some(id) = self.imds.keys().find(|id| !known(id)) {
            return Err(format!("imds.{id} is of no instance; add it under [[instances]]"));
        }
        self.groups.iter().try_for_each(|group| {
            let settings = &group.settings;
            settings.check().map_err(|why| format!("the target group {}: {why}", settings.name))
        })
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
    fn wrong_settings_are_refused_with_their_place() {
        let example = include_str!("../example.toml");
        for (right, wrong, said) in [
            (
                "name = \"web\"",
                "name = \"web\"\nprotocl = \"HTTP\"",
                "the target group web: unknown field `protocl`",
            ),
            (
                "latency = \"20ms\"",
                "error_rate = 7.0",
                "settings.faults.error_rate is 7: set it to 0.0 to 1.0",
            ),
            ("interval = \"6s\"", "interval = \"0s\"", "the target group web: health_check.interval is zero"),
            (
                "path = \"/healthz\"",
                "matcher = \"banana\"",
                "the target group web: health_check.matcher is \"banana\"",
            ),
            ("path = \"/healthz\"", "port = \"http\"", "the target group web: health_check.port is \"http\""),
            (
                "path = \"/healthz\"",
                "path = \"healthz\"",
                "the target group web: health_check.path is \"healthz\"",
            ),
            (
                "port = 8080\n",
                "port = 8080\ntarget_type = \"pod\"\n",
                "the target group web: target_type is \"pod\"",
            ),
            (
                "i-0a000000000000003 = ",
                "i-0a000000000000004 = ",
                "imds.i-0a000000000000004 is of no instance",
            ),
            ("listen = \"127.0.0.1:8000\"", "", "the target group web: `listen` is missing"),
        ] {
            assert!(example.contains(right), "{right}");
            let file = tempfile(&example.replacen(right, wrong, 1));
            let error = Config::load(&file.0).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        Config::load(&tempfile(example).0).unwrap();
    }

    /// A file that is removed again.
    struct Removed(PathBuf);

    impl Drop for Removed {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn tempfile(text: &str) -> Removed {
        let name = format!("local-alb-{}-{:016x}.toml", std::process::id(), rand::random::<u64>());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Removed(path)
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = toml::from_str::<Config>("api = \"127.0.0.1:1\"\nsetings = {}\n").unwrap_err();
        assert!(error.to_string().contains("unknown field `setings`"), "{error}");
    }
}
