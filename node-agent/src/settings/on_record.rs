//! Settings on record: only those that differ from the default.
//!
//! A record outlives the version that wrote it, and a package can be rolled back. An unknown setting is a warning, never an
//! error: a node that is out must come back with any version.

use super::Settings;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// Writes the settings that differ from the default.
///
/// # Errors
/// Those of the serializer.
pub(crate) fn serialize<S: Serializer>(settings: &Settings, serializer: S) -> Result<S::Ok, S::Error> {
    let (mut written, default) = (
        object(settings).map_err(S::Error::custom)?,
        object(&Settings::default()).map_err(S::Error::custom)?,
    );
    written.retain(|key, value| default.get(key) != Some(value));
    written.serialize(serializer)
}

/// Reads the settings over the defaults. Ignores unknown settings and values, with a warning.
///
/// # Errors
/// If it is not an object.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Settings, D::Error> {
    let written = Map::<String, Value>::deserialize(deserializer)?;
    if let Ok(settings) = serde_json::from_value(Value::Object(written.clone())) {
        return Ok(settings);
    }
    let mut understood = Map::new();
    for (key, value) in written {
        let before = understood.insert(key.clone(), value);
        if let Err(cause) = serde_json::from_value::<Settings>(Value::Object(understood.clone())) {
            tracing::warn!("ignored a setting on record that this version does not know: {key}: {cause}");
            match before {
                Some(before) => understood.insert(key, before),
                None => understood.remove(&key),
            };
        }
    }
    serde_json::from_value(Value::Object(understood)).map_err(D::Error::custom)
}

fn object(settings: &Settings) -> serde_json::Result<Map<String, Value>> {
    serde_json::from_value(serde_json::to_value(settings)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::time::Length;

    #[derive(Serialize, Deserialize)]
    struct Recorded(#[serde(with = "super")] Settings);

    fn read(text: &str) -> serde_json::Result<Settings> {
        serde_json::from_str::<Recorded>(text).map(|recorded| recorded.0)
    }

    #[test]
    fn only_what_differs_from_the_default_is_written() {
        assert_eq!(serde_json::to_string(&Recorded(Settings::default())).unwrap(), "{}");
        let settings = Settings { rerun: true, settle: Length::from_secs(20), ..Settings::default() };
        let text = serde_json::to_string(&Recorded(settings.clone())).unwrap();
        assert_eq!(text, r#"{"rerun":true,"settle":"20s"}"#);
        assert_eq!(read(&text).unwrap(), settings);
    }

    #[test]
    fn unknown_settings_of_another_version_do_not_keep_a_node_out() {
        let text = r#"{"rerun": true, "gates": ["canary"], "on_unhealthy": "ask", "settle": "20s"}"#;
        let known = Settings { rerun: true, settle: Length::from_secs(20), ..Settings::default() };
        assert_eq!(read(text).unwrap(), known);
    }

    #[test]
    fn anything_but_an_object_is_damage() {
        for damaged in ["null", "[]", "7", r#""settings""#] {
            assert!(read(damaged).is_err(), "{damaged}");
        }
    }
}
