//! Which settings are accepted, and the messages of those that are not.

use super::*;
use std::path::Path;

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn load(text: &str, flags: &Flags) -> Result<Settings, SettingsError> {
    Settings::load(Some(file(text).path()), flags)
}

#[test]
fn flags_override_the_file_and_the_file_overrides_the_defaults() {
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
        ("settle = \"1s\"", "settle is shorter than staleness"),
        ("reboot_command = []", "reboot_command is empty"),
        ("reboot_command = [\"systemctl\", \"soft-reboot\"]", "reboot_command makes a soft reboot"),
        ("success_codes = [194]", "success_codes has 194"),
        ("reboot_codes = [0]", "reboot_codes has 0"),
        ("success_codes = [102]\nreboot_codes = [102]", "reboot_codes has 102"),
        ("health_passes = 0", "health_passes is 0"),
        ("lease_role_id = \"my-role\"", "lease_role_id is not the unique ID"),
        ("health_url = \"localhost\"", "health_url is not a URL"),
    ] {
        let error = load(text, &Flags::default()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn times_with_which_the_lease_would_not_hold_at_aws_are_refused() {
    let checked = |text: &str| load(text, &Flags::default());
    for (text, part) in [
        ("staleness = \"500ms\"", "staleness is shorter than 1s"),
        ("staleness = \"1s\"\nsettle = \"1s\"", "settle is shorter than 2s"),
        ("quarantine = \"4m 59s\"", "quarantine is shorter than 5m"),
    ] {
        // The file can be used: it may be for a stand-in.
        let error = checked(text).unwrap().check_for_aws().unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    // Whatever API it is.
    let error = checked("quarantine = \"5s\"").unwrap_err().to_string();
    assert!(error.contains("quarantine is not longer than api_timeout"), "{error}");
    assert!(Settings::default().check_for_aws().is_ok());
}

#[test]
fn a_file_that_is_named_must_exist() {
    let error = Settings::load(Some(Path::new("/nonexistent/config.toml")), &Flags::default()).unwrap_err();
    assert!(error.to_string().starts_with("failed to read the configuration /nonexistent/config.toml"));
}

#[test]
fn settings_survive_the_record() {
    let settings = Settings { target_groups: vec!["web".into()], ..Settings::default() };
    let json = serde_json::to_string(&settings).unwrap();
    assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings);
}

#[test]
fn without_a_usable_file_only_its_state_dir_is_read() {
    let flags = Flags { drain_floor: Some(Length::from_secs(1)), ..Flags::default() };
    let without = |text: &str| Settings::without(Some(file(text).path()), &flags).unwrap();
    let settings = without("state_dir = \"/elsewhere\"\nsettle = \"7s\"\ndrain_flor = \"9s\"\n");
    assert_eq!(settings.state_dir, Path::new("/elsewhere"));
    assert_eq!((settings.drain_floor, settings.settle), (Length::from_secs(1), Settings::default().settle));
    assert_eq!(without("state_dir = ").state_dir, Settings::default().state_dir);
    assert_eq!(without("state_dir = 7").state_dir, Settings::default().state_dir);
}
