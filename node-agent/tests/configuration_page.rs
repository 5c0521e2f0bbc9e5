//! docs/configuration.md names every setting, flag, variable and policy tag, with the defaults and ranges of the code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects by panicking"
)]

use clap::Arg;
use node_agent::lease::policy::Policy;
use node_agent::settings::{Flags, Settings};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The rows of all tables of the page, by the name in their first cell.
fn rows() -> BTreeMap<String, Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = std::fs::read_to_string(path).unwrap();
    let lines = page.lines().filter(|line| line.starts_with("| `"));
    let mut rows = BTreeMap::new();
    for line in lines {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        let name = quoted(cells.first().unwrap()).into_iter().next().unwrap();
        assert!(rows.insert(name.clone(), cells).is_none(), "two rows for {name}");
    }
    rows
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn cell(row: &[String], index: usize) -> &str {
    row.get(index).map_or_else(|| panic!("no cell {index} in {row:?}"), String::as_str)
}

/// Each setting with its default.
fn settings() -> serde_json::Map<String, Value> {
    match serde_json::to_value(Settings::default()).unwrap() {
        Value::Object(settings) => settings,
        other => panic!("settings are an object: {other}"),
    }
}

/// Every argument of every verb that a variable sets as well.
fn arguments_with_a_variable() -> Vec<Arg> {
    let program = node_agent::cli::command();
    let verbs = program.get_subcommands().flat_map(clap::Command::get_arguments);
    program.get_arguments().chain(verbs).filter(|argument| argument.get_env().is_some()).cloned().collect()
}

#[test]
fn every_setting_has_a_row_with_its_default() {
    let rows = rows();
    for (name, default) in settings() {
        let row = rows.get(&name).unwrap_or_else(|| panic!("no row for {name}"));
        let shown = cell(row, 2);
        let unset = shown == "unset" || shown.starts_with("unset: ");
        let expected = match default {
            Value::Null => None,
            Value::Array(parts) if parts.is_empty() => None,
            Value::Array(parts) => {
                let parts: Vec<_> = parts.iter().map(ToString::to_string).collect();
                Some(format!("`[{}]`", parts.join(", ")))
            }
            Value::String(text) => Some(format!("`{text}`")),
            other => Some(format!("`{other}`")),
        };
        match expected {
            Some(expected) => assert_eq!(shown, expected, "the default of {name}"),
            None => assert!(unset, "{name} has no default, and the page says {shown}"),
        }
    }
}

#[test]
fn every_flag_and_variable_stands_in_the_row_of_its_setting_and_no_others() {
    let (rows, settings) = (rows(), settings());
    let mut in_a_row = BTreeSet::new();
    for argument in arguments_with_a_variable() {
        let variable = argument.get_env().unwrap().to_str().unwrap().to_owned();
        let flag = format!("--{}", argument.get_long().unwrap());
        let setting = argument.get_id().as_str();
        if settings.contains_key(setting) {
            assert_eq!(variable, format!("NODE_AGENT_{}", setting.to_uppercase()));
            assert_eq!(quoted(cell(&rows[setting], 1)), [flag, variable], "{setting}");
            in_a_row.insert(setting.to_owned());
        } else {
            assert_eq!(quoted(cell(rows.get(&variable).unwrap_or_else(|| panic!("{variable}")), 1)), [flag]);
        }
    }
    for setting in settings.keys().filter(|setting| !in_a_row.contains(*setting)) {
        assert_eq!(cell(&rows[setting], 1), "", "{setting} has neither flag nor variable");
    }
    assert!(rows.contains_key("NODE_AGENT_LOG"), "the log reads it, the command line does not know it");
}

#[test]
fn lists_and_choices_are_told() {
    let rows = rows();
    for argument in arguments_with_a_variable() {
        let name = argument.get_id().as_str();
        let Some(row) = rows.get(name) else { continue };
        if argument.get_value_delimiter() == Some(',') {
            assert!(row.join(" ").contains("commas"), "{name} takes a list with commas");
        }
        for choice in argument.get_possible_values() {
            // A switch needs no row of choices: the top of the page says what switches take.
            let told = argument.is_hide_possible_values_set()
                || cell(row, 3).contains(&format!("`{}`", choice.get_name()));
            assert!(told, "{name}: {}", choice.get_name());
        }
    }
}

/// Whether a file with this line alone can be used.
fn accepted(line: &str) -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), line).unwrap();
    let loaded = Settings::load(Some(file.path()), &Flags::default());
    loaded.is_ok_and(|settings| settings.check_for_aws().is_ok())
}

#[test]
fn a_duration_of_zero_is_refused_where_the_page_says_so_and_nowhere_else() {
    let rows = rows();
    let mut refused = 0;
    for (name, default) in settings() {
        let duration = default.as_str().filter(|text| accepted(&format!("drain_margin = {text:?}")));
        if duration.is_none() {
            continue;
        }
        let limit = cell(&rows[&name], 3);
        let told = limit.contains("more than 0") || limit.contains("at least");
        assert_eq!(!accepted(&format!("{name} = \"0s\"")), told, "{name}: {limit}");
        refused += u32::from(told);
    }
    assert!(refused >= 5, "{refused}");
}

#[test]
fn numbers_and_lists_have_the_limits_of_the_page() {
    let rows = rows();
    for (setting, limit, inside, outside) in [
        ("health_passes", "at least 1", "1", "0"),
        ("staleness", "at least 1s", "\"1s\"", "\"999ms\""),
        ("quarantine", "at least 5m", "\"5m\"", "\"299s\""),
        ("fleet_rate", "at least 0.001", "0.001", "0.0009"),
        ("reboot_command", "not empty", "[\"reboot\"]", "[]"),
        ("health_url", "`http` or `https`", "\"http://127.0.0.1/\"", "\"ftp://127.0.0.1/\""),
        ("in_flight_url", "`http` or `https`", "\"https://localhost/\"", "\"localhost\""),
        ("instance_id", "8 to 17 hexadecimal digits", "\"i-01234567\"", "\"i-0123456\""),
        ("lease_role_id", "16 to 128 upper-case", "\"AROA000000000000\"", "\"AROA00000000000\""),
    ] {
        assert!(cell(&rows[setting], 3).contains(limit), "{setting}: {limit}");
        assert!(accepted(&format!("{setting} = {inside}")), "{setting} = {inside}");
        assert!(!accepted(&format!("{setting} = {outside}")), "{setting} = {outside}");
    }
}

#[test]
fn no_row_is_about_a_setting_that_does_not_exist() {
    let settings = settings();
    for (name, row) in rows().iter().filter(|(_, row)| row.len() == 4) {
        let is_a_tag = name.starts_with("node-agent/");
        let is_a_variable = name.starts_with("NODE_AGENT_");
        assert!(is_a_tag || is_a_variable || settings.contains_key(name), "{name} is no setting: {row:?}");
    }
}

#[test]
fn policy_tags_have_the_ranges_and_defaults_that_are_shown() {
    let mut with_a_range = BTreeSet::new();
    for (tag, row) in rows().iter().filter(|(name, _)| name.starts_with("node-agent/")) {
        let Some((least, most)) = cell(row, 2).split_once(" to ") else { continue };
        let (least, most): (u32, u32) = (least.parse().unwrap(), most.parse().unwrap());
        let read = |value: String| Policy::from_tags(&BTreeMap::from([(tag.clone(), value)]));
        let default = cell(row, 1);
        if let Some(default) = quoted(default).first() {
            assert_eq!(read(default.clone()), Ok(Policy::default()), "the default of {tag}");
        }
        assert!(read(least.to_string()).is_ok() && read(most.to_string()).is_ok(), "{tag}");
        for outside in [i64::from(least) - 1, i64::from(most) + 1] {
            assert!(read(outside.to_string()).is_err(), "{tag} takes {outside}");
        }
        with_a_range.insert(tag.trim_start_matches("node-agent/").to_owned());
    }
    let numbers = ["fleet-size", "max-failures", "max-unavailable", "min-healthy"];
    assert_eq!(with_a_range, numbers.map(str::to_owned).into());
}
