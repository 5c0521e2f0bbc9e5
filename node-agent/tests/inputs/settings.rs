//! The configuration file, the environment and the flags: settings, or an error that names what is wrong.

use clap::Parser;
use node_agent::settings::{Flags, Settings, SettingsError};
use proptest::prelude::*;
use std::path::Path;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
}

fn load(text: &[u8]) -> Result<Settings, SettingsError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Settings::load(Some(file.path()), &Flags::default())
}

/// Every key that there is.
fn keys() -> Vec<String> {
    let all = serde_json::to_value(Settings::default()).unwrap();
    all.as_object().unwrap().keys().cloned().collect()
}

/// TOML values of every type, and some that are none.
fn any_value() -> impl Strategy<Value = String> {
    let quoted = |text: String| serde_json::to_string(&text).unwrap();
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}")),
        any::<bool>().prop_map(|yes| yes.to_string()),
        any::<String>().prop_map(quoted),
        "[0-9]{1,25}(ms|s|m|h|d| years)".prop_map(quoted),
        prop::sample::select(vec!["0s", "", "http://[", "i-1", "ftp://x/", "../../etc", "::1"])
            .prop_map(move |text| quoted(text.to_owned())),
        Just("[]".to_owned()),
        Just("[1, \"two\"]".to_owned()),
        Just("{ a = 1 }".to_owned()),
        Just("1979-05-27T07:32:00Z".to_owned()),
        Just("nan".to_owned()),
        Just("1e-300".to_owned()),
        Just(format!("{}{}", "[".repeat(5000), "]".repeat(5000))),
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn any_file_is_settings_or_an_error_that_says_where(text in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Err(error) = load(&text) {
            prop_assert!(error.to_string().starts_with("failed to "), "{error}");
        }
    }

    #[test]
    fn any_value_of_any_key_is_taken_or_the_key_is_named(
        key in prop::sample::select(keys()), value in any_value(),
    ) {
        if let Err(error) = load(format!("{key} = {value}\n").as_bytes()) {
            // What is written over several lines shows the line that is wrong; the key is then above it.
            let error = error.to_string();
            prop_assert!(error.contains(&key) || value.contains(['\n', '\r']), "{key} = {value:?}: {error}");
        }
    }

    #[test]
    fn any_flag_is_taken_or_named(value in any::<String>()) {
        for flag in ["drain-floor", "lease-wait", "command-limit", "health-limit", "on-unhealthy", "asg"] {
            if let Err(error) = Cli::try_parse_from(["node-agent", &format!("--{flag}={value}")]) {
                prop_assert!(error.to_string().contains(&format!("--{flag}")), "{error}");
            }
        }
        for flag in ["instance-id", "health-url", "in-flight-url", "region", "state-dir", "target-group"] {
            let Ok(cli) = Cli::try_parse_from(["node-agent", &format!("--{flag}={value}")]) else { continue };
            let file = tempfile::NamedTempFile::new().unwrap();
            if let Err(error) = Settings::load(Some(file.path()), &cli.flags) {
                prop_assert!(error.to_string().contains(&flag.replace('-', "_")), "{error}");
            }
        }
    }

    #[test]
    fn settings_that_were_taken_survive_the_record(
        key in prop::sample::select(keys()), value in any_value(),
    ) {
        if let Ok(settings) = load(format!("{key} = {value}\n").as_bytes()) {
            let json = serde_json::to_string(&settings).unwrap();
            prop_assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings);
        }
    }
}

#[test]
fn a_file_of_endless_length_is_not_read_to_its_end() {
    let error = Settings::load(Some(Path::new("/dev/zero")), &Flags::default()).unwrap_err().to_string();
    assert!(error.contains("/dev/zero: the file is longer than"), "{error}");
}

#[test]
fn what_would_never_work_is_refused_at_once() {
    for (text, part) in [
        ("api_timeout = \"0s\"", "api_timeout is 0s"),
        ("in_flight_url = \"file:///proc/loadavg\"", "in_flight_url has the scheme file"),
        ("health_url = \"localhost:8080/healthz\"", "health_url has the scheme localhost"),
        ("fleet_rate = 1e-30", "fleet_rate is out of range"),
        ("instance_id = \"../i-0123456789abcdef0\"", "instance_id is not an instance ID"),
    ] {
        let error = load(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
