//! Refuses settings that make no sense, or with which the lease would not hold.

use super::{Length, Settings, SettingsError};
use std::time::Duration;

/// A slower fleet would spread its first requests over days.
const SLOWEST_FLEET: f64 = 0.001;

type Bound = (&'static str, fn(&Settings) -> Length, Duration, &'static str);

/// The shortest times with which the lease holds at AWS (docs/lease.md, "What it relies on").
const LEASE_NEEDS: [Bound; 3] = [
    ("staleness", |s| s.staleness, Duration::from_secs(1), "and a read of the API can be that old"),
    ("settle", |s| s.settle, Duration::from_secs(2), "and two nodes could miss each other's lease"),
    // Signature Version 4: AWS accepts a request up to five minutes after it was signed.
    ("quarantine", |s| s.quarantine, Duration::from_secs(300), "in which AWS still accepts a signed request"),
];

impl Settings {
    /// Whether the lease holds with these times at AWS. A stand-in answers sooner, so tests may use shorter ones.
    ///
    /// # Errors
    /// [`SettingsError::Contradiction`], naming the setting and its limit.
    pub fn check_for_aws(&self) -> Result<(), SettingsError> {
        for (name, length, least, why) in LEASE_NEEDS {
            if length(self).0 < least {
                let least = Length(least);
                return Err(SettingsError::Contradiction(format!(
                    "{name} is shorter than {least}, {why}: set it to at least {least}"
                )));
            }
        }
        Ok(())
    }

    /// Checks each value, and those that depend on each other.
    ///
    /// # Errors
    /// [`SettingsError::Contradiction`], naming the settings and what to set.
    pub(super) fn checked(self) -> Result<Settings, SettingsError> {
        let wrong = |text: &str| Err(SettingsError::Contradiction(text.to_owned()));
        if self.settle < self.staleness {
            return wrong(
                "settle is shorter than staleness, so two nodes could miss each other's lease: set it to at least staleness",
            );
        }
        if self.quarantine <= self.api_timeout {
            return wrong(
                "quarantine is not longer than api_timeout, so a call could take effect after it counts as lost: set it to more",
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
