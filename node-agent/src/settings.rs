//! What a user can set: flags over `NODE_AGENT_*` over the file over the defaults.

use crate::time::Length;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the file is looked for when no other is named; it need not exist.
pub const DEFAULT_FILE: &str = "/etc/node-agent/config.toml";

/// No file with settings is longer, in bytes.
const LONGEST_FILE: u64 = 1024 * 1024;

/// A fleet that asks less often than this would spread its first requests over days.
const SLOWEST_FLEET: f64 = 0.001;

/// What to do with a node whose service does not get healthy after maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum OnUnhealthy {
    /// Keep it out, keep the lease, stop the roll.
    Halt,
    /// Register it all the same and let the load balancer judge.
    Register,
}

/// What to do in an Auto Scaling group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum AutoScaling {
    /// Do nothing and say what the choices are.
    Refuse,
    /// Move the instance to standby and back: the group deregisters and registers it.
    Standby,
    /// Go ahead as if there were no Auto Scaling group.
    Ignore,
}

/// Every setting, with its value. The part of the record that survives a reboot, too: `resume` goes by what
/// `maintain` was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Target groups by ARN or name; empty: those tagged `node-agent/managed=true` that contain us.
    pub target_groups: Vec<String>,
    /// Our instance id; unset, the instance metadata service is asked.
    pub instance_id: Option<String>,
    /// The unique id of the instance's role (`AROA...`): it stands in the key of our lease, so that IAM can pin the key to us.
    pub lease_role_id: Option<String>,
    /// The AWS region; unset, AWS_REGION, the profile and the instance metadata service are asked.
    pub region: Option<String>,
    /// Where the record lives.
    pub state_dir: PathBuf,
    /// What proves a reboot: a file whose content is new after each boot.
    pub boot_id_path: PathBuf,
    /// The command that reboots the machine.
    pub reboot_command: Vec<String>,
    /// A command that tells people, with JSON on its standard input, that this node is halted or its maintenance failed;
    /// empty: nobody is told.
    pub notify_command: Vec<String>,
    /// The command that starts the driver as a process of its own; empty: whoever asks drives. Unset: systemd starts
    /// node-agent.service, where that is installed.
    pub start_driver: Option<Vec<String>>,
    /// Where our own service answers the local health check.
    pub service_address: IpAddr,
    /// A URL for the local health check, instead of what the target group says.
    pub health_url: Option<String>,
    /// How many local checks in a row must pass.
    pub health_passes: u32,
    /// Time between two local checks.
    pub health_interval: Length,
    /// What to do when they do not pass in time.
    pub on_unhealthy: OnUnhealthy,
    /// A URL of the service that returns the number of requests in flight: with it a drain may end early.
    pub in_flight_url: Option<String>,
    /// How long that number must have been 0.
    pub quiet_period: Length,
    /// No drain is over sooner: requests still arrive for seconds after DeregisterTargets.
    pub drain_floor: Length,
    /// What to do in an Auto Scaling group.
    pub asg: AutoScaling,
    /// Go out even if nobody is left to serve (a group of one).
    pub allow_empty: bool,
    /// Go on although this node is unhealthy itself.
    pub repair: bool,
    /// Run the command again when it was running as the agent was killed.
    pub rerun: bool,
    /// Do not count zones when cross-zone load balancing is off.
    pub ignore_zones: bool,

    /// Give up before leaving service after this long.
    pub lease_wait: Length,
    /// How much longer than the deregistration delay a drain may take.
    pub drain_margin: Length,
    /// How long the command may run.
    pub command_limit: Length,
    /// How long a stopped command gets between SIGTERM and SIGKILL.
    pub command_grace: Length,
    /// How long a reboot may take to begin.
    pub reboot_limit: Length,
    /// How long the service may take to pass the local check.
    pub health_limit: Length,
    /// How long RegisterTargets may be refused.
    pub register_limit: Length,
    /// How long the load balancer may take to call us healthy.
    pub in_service_limit: Length,
    /// How long `drain` keeps the node out without a `rejoin`.
    pub drained_limit: Length,

    /// S: how stale a read of one tag, or of target health, may be.
    pub staleness: Length,
    /// D: from an acknowledged claim to the read that confirms it; at least S.
    pub settle: Length,
    /// Q: a request that was given up on takes effect within this time or never.
    pub quarantine: Length,
    /// T: from the beginning of the last reads to DeregisterTargets, at the most.
    pub validation: Length,
    /// Time between two looks at slots that are taken, for the node that is next in line; others look less often.
    pub lease_poll: Length,
    /// Requests per second that all nodes of a group together make while they wait for a slot outside the queue.
    pub fleet_rate: f64,
    /// How long a node is out, at least: those who wait look when a slot is likely to come free. Unset: as long as a
    /// drain takes at least.
    pub expected_hold: Option<Length>,
    /// Time between two looks at target health while out, for one node at a time; K nodes look K times less.
    pub health_poll: Length,
    /// How long one API call may take.
    pub api_timeout: Length,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            target_groups: Vec::new(),
            instance_id: None,
            lease_role_id: None,
            region: None,
            state_dir: "/var/lib/node-agent".into(),
            boot_id_path: "/proc/sys/kernel/random/boot_id".into(),
            reboot_command: vec!["systemctl".into(), "reboot".into()],
            notify_command: Vec::new(),
            start_driver: None,
            service_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            health_url: None,
            health_passes: 3,
            health_interval: Length::from_secs(1),
            on_unhealthy: OnUnhealthy::Halt,
            in_flight_url: None,
            quiet_period: Length::from_secs(5),
            drain_floor: Length::from_secs(30),
            asg: AutoScaling::Refuse,
            allow_empty: false,
            repair: false,
            rerun: false,
            ignore_zones: false,
            lease_wait: Length::from_secs(4 * 3600),
            drain_margin: Length::from_secs(120),
            command_limit: Length::from_secs(3600),
            command_grace: Length::from_secs(10),
            reboot_limit: Length::from_secs(15 * 60),
            health_limit: Length::from_secs(600),
            register_limit: Length::from_secs(600),
            in_service_limit: Length::from_secs(600),
            drained_limit: Length::from_secs(4 * 3600),
            staleness: Length::from_secs(5),
            settle: Length::from_secs(10),
            quarantine: Length::from_secs(15 * 60),
            validation: Length::from_secs(3),
            lease_poll: Length::from_secs(4),
            fleet_rate: 2.0,
            expected_hold: None,
            health_poll: Length::from_secs(1),
            api_timeout: Length::from_secs(5),
        }
    }
}

// Rates are checked to be positive numbers.
impl Eq for Settings {}

/// Settings as written on the command line or in the environment. The names are those of [`Settings`].
#[derive(Debug, Default, clap::Args, Serialize)]
#[command(next_help_heading = "Settings (also in the file, and as NODE_AGENT_<NAME>)")]
pub struct Flags {
    /// Target group, by ARN or name; repeatable
    #[arg(long = "target-group", env = "NODE_AGENT_TARGET_GROUPS", value_delimiter = ',', global = true)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    target_groups: Vec<String>,
    /// Our instance id, instead of asking the instance metadata service
    #[arg(long, env = "NODE_AGENT_INSTANCE_ID", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
    /// AWS region, instead of asking AWS_REGION, the profile and the instance metadata service
    #[arg(long, env = "NODE_AGENT_REGION", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    /// Where the record lives
    #[arg(long, env = "NODE_AGENT_STATE_DIR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    state_dir: Option<PathBuf>,
    /// URL of the local health check, instead of what the target group says
    #[arg(long, env = "NODE_AGENT_HEALTH_URL", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    health_url: Option<String>,
    /// URL that returns the number of requests in flight; with it a drain may end early
    #[arg(long, env = "NODE_AGENT_IN_FLIGHT_URL", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    in_flight_url: Option<String>,
    /// Least time between DeregisterTargets and the end of the drain
    #[arg(long, env = "NODE_AGENT_DRAIN_FLOOR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_floor: Option<Length>,
    /// Give up before leaving service after this long
    #[arg(long, env = "NODE_AGENT_LEASE_WAIT", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_wait: Option<Length>,
    /// How long the command may run
    #[arg(long, env = "NODE_AGENT_COMMAND_LIMIT", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    command_limit: Option<Length>,
    /// How long the service may take to pass the local health check
    #[arg(long, env = "NODE_AGENT_HEALTH_LIMIT", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    health_limit: Option<Length>,
    /// What to do with a node whose service does not get healthy
    #[arg(long, env = "NODE_AGENT_ON_UNHEALTHY", global = true, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    on_unhealthy: Option<OnUnhealthy>,
    /// What to do in an Auto Scaling group
    #[arg(long, env = "NODE_AGENT_ASG", global = true, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    asg: Option<AutoScaling>,
    /// Go out even if nobody is left to serve (a group of one)
    #[arg(long, env = "NODE_AGENT_ALLOW_EMPTY", global = true)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    allow_empty: bool,
    /// Go on although this node is unhealthy itself
    #[arg(long, env = "NODE_AGENT_REPAIR", global = true)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repair: bool,
    /// Run the command again if it was running when the agent was killed
    #[arg(long, env = "NODE_AGENT_RERUN", global = true)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rerun: bool,
    /// Do not count zones when cross-zone load balancing is off
    #[arg(long, env = "NODE_AGENT_IGNORE_ZONES", global = true)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ignore_zones: bool,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error(
        "failed to read the configuration {path}: {cause}; make it readable, or name another with --config"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The file is not TOML, or has a key or a value that is not ours.
    #[error(
        "failed to understand the configuration {path}: {cause}\ncorrect it; docs/configuration.md lists every setting"
    )]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        cause: toml::de::Error,
    },
    /// Each value is fine, together they make no sense.
    #[error("failed to use the configuration: {0}")]
    Contradiction(String),
}

impl Settings {
    /// Reads the file (the default one may be absent), lays the flags over it and checks the result.
    ///
    /// # Errors
    /// [`SettingsError`], naming the file and the key.
    pub fn load(file: Option<&Path>, flags: &Flags) -> Result<Settings, SettingsError> {
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        let text = match read(path) {
            Ok(text) => text,
            Err(cause) if file.is_none() && cause.kind() == io::ErrorKind::NotFound => String::new(),
            Err(cause) => return Err(SettingsError::Read { path: path.into(), cause }),
        };
        let parse = |cause| SettingsError::Parse { path: path.into(), cause };
        // Parsed as settings first, for an error that points at the line.
        toml::from_str::<Settings>(&text).map_err(parse)?;
        let mut written: toml::Table = toml::from_str(&text).map_err(parse)?;
        let over = toml::Table::try_from(flags).map_err(|e| SettingsError::Contradiction(e.to_string()))?;
        written.extend(over);
        written.try_into::<Settings>().map_err(parse)?.checked()
    }

    fn checked(self) -> Result<Settings, SettingsError> {
        let wrong = |text: &str| Err(SettingsError::Contradiction(text.to_owned()));
        if self.settle < self.staleness {
            return wrong("settle must be at least staleness, or two nodes may miss each other's lease");
        }
        if self.reboot_command.is_empty() {
            return wrong("reboot_command is empty: it needs at least the program to run");
        }
        if self.lease_role_id.as_ref().is_some_and(|id| !is_role_id(id)) {
            return wrong("lease_role_id is not the unique id of a role, such as AROAEXAMPLEID1234567");
        }
        if self.health_passes == 0 {
            return wrong(
                "health_passes is 0: at least one local check has to pass before a node is registered",
            );
        }
        for (name, length) in [
            ("health_interval", self.health_interval),
            ("health_poll", self.health_poll),
            ("lease_poll", self.lease_poll),
            ("api_timeout", self.api_timeout),
        ] {
            if length.0.is_zero() {
                return wrong(&format!("{name} is 0s: it must be longer"));
            }
        }
        if !(self.fleet_rate.is_finite() && self.fleet_rate >= SLOWEST_FLEET) {
            return wrong(&format!(
                "fleet_rate must be a number of requests per second from {SLOWEST_FLEET} on"
            ));
        }
        for (name, url) in [("health_url", &self.health_url), ("in_flight_url", &self.in_flight_url)] {
            match url.as_ref().map(|url| reqwest::Url::parse(url)) {
                Some(Err(cause)) => return wrong(&format!("{name} is not a URL: {cause}")),
                Some(Ok(url)) if !["http", "https"].contains(&url.scheme()) => {
                    return wrong(&format!("{name} begins with {}: it must be http or https", url.scheme()));
                }
                _ => (),
            }
        }
        if self.instance_id.as_ref().is_some_and(|id| !is_instance_id(id)) {
            return wrong("instance_id is not one: they look like i-0123456789abcdef0");
        }
        Ok(self)
    }

    /// How long one API call may take.
    pub fn api_timeout(&self) -> Duration {
        self.api_timeout.0
    }
}

/// Reads a file of settings, and no more of it than a file of settings has.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST_FILE {
        return Err(io::Error::other(format!("it is longer than {LONGEST_FILE} bytes")));
    }
    Ok(text)
}

/// Whether this may be an instance id: `i-` and hexadecimal digits, 8 in old ones and 17 in those of today. It becomes
/// part of a tag's key and decides whose record a record is.
pub(crate) fn is_instance_id(id: &str) -> bool {
    let digits = id.strip_prefix("i-").unwrap_or_default();
    (8..=17).contains(&digits.len()) && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// As IAM makes them: upper-case letters and digits.
fn is_role_id(id: &str) -> bool {
    (16..=128).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn load(text: &str, flags: &Flags) -> Result<Settings, SettingsError> {
        Settings::load(Some(file(text).path()), flags)
    }

    #[test]
    fn flags_stand_over_the_file_and_the_file_over_the_defaults() {
        let flags = Flags { drain_floor: Some(Length::from_secs(1)), ..Flags::default() };
        let settings = load("drain_floor = \"9s\"\nsettle = \"7s\"\n", &flags).unwrap();
        assert_eq!(settings.drain_floor, Length::from_secs(1));
        assert_eq!(settings.settle, Length::from_secs(7));
        assert_eq!(settings.quarantine, Length::from_secs(900));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = load("\ndrain_flor = \"9s\"\n", &Flags::default()).unwrap_err().to_string();
        assert!(error.contains("unknown field `drain_flor`") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn a_wrong_value_says_what_is_expected() {
        let error = load("drain_floor = \"a while\"\n", &Flags::default()).unwrap_err().to_string();
        assert!(error.contains("is not a length of time such as 500ms"), "{error}");
    }

    #[test]
    fn contradictions_are_refused() {
        for (text, part) in [
            ("settle = \"1s\"", "settle must be at least staleness"),
            ("reboot_command = []", "reboot_command is empty"),
            ("health_passes = 0", "health_passes is 0"),
            ("lease_role_id = \"my-role\"", "lease_role_id is not the unique id"),
            ("health_url = \"localhost\"", "health_url is not a URL"),
        ] {
            let error = load(text, &Flags::default()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_file_that_was_asked_for_must_exist() {
        let error =
            Settings::load(Some(Path::new("/nonexistent/config.toml")), &Flags::default()).unwrap_err();
        assert!(error.to_string().starts_with("failed to read the configuration /nonexistent/config.toml"));
    }

    #[test]
    fn settings_survive_the_record() {
        let settings = Settings { target_groups: vec!["web".into()], ..Settings::default() };
        let json = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings);
    }
}
