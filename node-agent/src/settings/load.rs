//! Reads the settings, and refuses values that make no sense.

use super::{DEFAULT_FILE, Flags, Settings};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Size limit of the file, in bytes.
const LONGEST_FILE: u64 = 1024 * 1024;

/// A slower fleet would spread its first requests over days.
const SLOWEST_FLEET: f64 = 0.001;

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file could not be read.
    #[error(
        "failed to read the configuration {path}: {cause}; make it readable, or name another with --config"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// The file is not TOML, or has an unknown key or value.
    #[error(
        "failed to parse the configuration {path}: {}\ncorrect it; docs/configuration.md lists every setting",
        .cause.to_string().trim_end()
    )]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        cause: toml::de::Error,
    },
    /// Variables of the environment cannot be parsed.
    #[error("failed to parse {0}; correct it where the unit or the shell gets its environment")]
    Environment(String),
    /// A value is out of range, or contradicts another.
    #[error("failed to use the configuration: {0}")]
    Contradiction(String),
}

impl Settings {
    /// Reads the file, applies the flags and checks the result. The default file may be missing.
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
        // Parse as settings first: the error points at the line.
        toml::from_str::<Settings>(&text).map_err(parse)?;
        let written: toml::Table = toml::from_str(&text).map_err(parse)?;
        under(written, flags)?.try_into::<Settings>().map_err(parse)?.checked()
    }

    /// The flags over the defaults, for verbs that work without a usable file. `state_dir` is still read from the file, if
    /// possible.
    ///
    /// # Errors
    /// [`SettingsError`], if the flags are wrong.
    pub fn without(file: Option<&Path>, flags: &Flags) -> Result<Settings, SettingsError> {
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        let text = read(path).unwrap_or_default();
        let mut written: toml::Table = toml::from_str(&text).unwrap_or_default();
        written.retain(|key, value| key == "state_dir" && value.is_str());
        let parse = |cause| SettingsError::Parse { path: path.into(), cause };
        under(written, flags)?.try_into::<Settings>().map_err(parse)?.checked()
    }

    fn checked(self) -> Result<Settings, SettingsError> {
        let wrong = |text: &str| Err(SettingsError::Contradiction(text.to_owned()));
        if self.settle < self.staleness {
            return wrong(
                "settle is shorter than staleness, so two nodes could miss each other's lease: set it to at least staleness",
            );
        }
        if self.reboot_command.is_empty() {
            return wrong("reboot_command is empty: name the program to run");
        }
        if self.reboot_command.iter().any(|word| word == "soft-reboot") {
            return wrong(
                "reboot_command makes a soft reboot (soft-reboot): it starts no kernel and keeps the boot ID, so nothing would show \
                 that it was made: use `systemctl reboot`",
            );
        }
        if let Some(code) =
            self.reboot_codes.iter().find(|code| **code == 0 || self.success_codes.contains(code))
        {
            return wrong(&format!(
                "reboot_codes has {code}, which means success without a reboot: leave it out"
            ));
        }
        if self.success_codes.contains(&crate::exit::REBOOT) {
            return wrong("success_codes has 194, with which a command requests a reboot: leave it out");
        }
        if self.lease_role_id.as_ref().is_some_and(|id| !is_role_id(id)) {
            return wrong("lease_role_id is not the unique ID of a role, such as AROAEXAMPLEID1234567");
        }
        if self.health_passes == 0 {
            return wrong("health_passes is 0: set it to at least 1");
        }
        for (name, length) in [
            ("health_interval", self.health_interval),
            ("health_poll", self.health_poll),
            ("lease_poll", self.lease_poll),
            ("api_timeout", self.api_timeout),
        ] {
            if length.0.is_zero() {
                return wrong(&format!("{name} is 0s: set it to more than 0"));
            }
        }
        if !(self.fleet_rate.is_finite() && self.fleet_rate >= SLOWEST_FLEET) {
            return wrong(&format!(
                "fleet_rate is out of range: set it to at least {SLOWEST_FLEET} requests per second"
            ));
        }
        for (name, url) in [("health_url", &self.health_url), ("in_flight_url", &self.in_flight_url)] {
            match url.as_ref().map(|url| reqwest::Url::parse(url)) {
                Some(Err(cause)) => return wrong(&format!("{name} is not a URL: {cause}")),
                Some(Ok(url)) if !["http", "https"].contains(&url.scheme()) => {
                    return wrong(&format!("{name} has the scheme {}: use http or https", url.scheme()));
                }
                _ => (),
            }
        }
        if self.instance_id.as_ref().is_some_and(|id| !is_instance_id(id)) {
            return wrong("instance_id is not an instance ID such as i-0123456789abcdef0");
        }
        Ok(self)
    }
}

/// The settings of the file, overridden by the flags.
fn under(mut written: toml::Table, flags: &Flags) -> Result<toml::Table, SettingsError> {
    let over = toml::Table::try_from(flags).map_err(|e| SettingsError::Contradiction(e.to_string()))?;
    written.extend(over);
    Ok(written)
}

/// Reads the file up to its size limit.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST_FILE {
        return Err(io::Error::other(format!("the file is longer than {LONGEST_FILE} bytes")));
    }
    Ok(text)
}

/// Whether this is an instance ID: `i-` and 8 (old) to 17 hexadecimal digits. It becomes part of a tag's key and tells which
/// instance a record belongs to.
pub(crate) fn is_instance_id(id: &str) -> bool {
    let digits = id.strip_prefix("i-").unwrap_or_default();
    (8..=17).contains(&digits.len()) && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether this is a unique ID of IAM: upper-case letters and digits.
fn is_role_id(id: &str) -> bool {
    (16..=128).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}
