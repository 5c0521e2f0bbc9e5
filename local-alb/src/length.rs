//! A length of time in a configuration file.

use serde::{Deserialize, Deserializer};
use std::time::Duration;

/// Reads a length of time as people write it: `500ms`, `6s`, `2m`.
pub(crate) fn length<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed = text.parse::<jiff::SignedDuration>().ok().and_then(|length| Duration::try_from(length).ok());
    parsed.ok_or_else(|| {
        serde::de::Error::custom(format!("{text:?} is not a length of time such as 500ms or 6s"))
    })
}
