//! Every error of the program as it is printed, for review in `tests/snapshots/errors.snap`.

mod aws;

use crate::aws::target_group::{Attributes, OwnIds, Target, TargetHealth, TargetState};
use crate::lease::LeaseState;
use crate::lease::operator::Refused;
use crate::lease::snapshot::GroupSnapshot;
use crate::machine::ports::{CommandEnd, MachineError};
use crate::machine::program::NotEnded;
use crate::machine::systemd::GoingDown;
use crate::machine::time::Moment;
use crate::maintenance::context::DriveError;
use crate::record::journal::JournalError;
use crate::record::phase::{Event, NoSuchWay, Outcome, Phase, Why};
use crate::record::{Failure, Operation, Request, TurnedBack};
use crate::settings::{Flags, Settings, SettingsError};
use aws::{aws, call_errors, standby};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ME: &str = "i-0a000000000000001";
const OTHER: &str = "i-0a000000000000002";

/// The messages of one type.
type Messages = (&'static str, Vec<String>);

fn of(name: &'static str, errors: &[&dyn Display]) -> Messages {
    (name, errors.iter().map(ToString::to_string).collect())
}

fn no_json() -> serde_json::Error {
    serde_json::from_str::<u32>("{").unwrap_err()
}

fn no_space() -> io::Error {
    io::Error::from_raw_os_error(28)
}

fn settings() -> Messages {
    let path = || PathBuf::from("/etc/node-agent/config.toml");
    let cause = toml::from_str::<Settings>("drain_flor = \"9s\"").unwrap_err();
    let mut messages = vec![
        SettingsError::Read { path: path(), cause: io::Error::from_raw_os_error(13) }.to_string(),
        SettingsError::Parse { path: path(), cause }.to_string(),
    ];
    for line in [
        "settle = \"1s\"",
        "reboot_command = []",
        "lease_role_id = \"my-role\"",
        "health_passes = 0",
        "health_poll = \"0s\"",
        "fleet_rate = 0.0",
        "health_url = \"localhost\"",
        "health_url = \"ftp://localhost/\"",
        "instance_id = \"web-1\"",
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), line).unwrap();
        messages.push(Settings::load(Some(file.path()), &Flags::default()).unwrap_err().to_string());
    }
    ("SettingsError", messages)
}

fn journal() -> Messages {
    let path = || Path::new("/var/lib/node-agent/record.json").to_owned();
    of(
        "JournalError",
        &[
            &JournalError::Locked,
            &JournalError::Corrupt { path: path(), cause: no_json() },
            &JournalError::Older { path: path() },
            &JournalError::Newer { path: path(), found: 9 },
            &JournalError::Foreign { path: path(), of: OTHER.to_owned(), asked: ME.to_owned() },
            &JournalError::Denied {
                what: "read the record",
                path: path(),
                cause: io::Error::from_raw_os_error(13),
            },
            &JournalError::Io { what: "write the record", path: path(), cause: no_space() },
        ],
    )
}

/// Three nodes, the last of them unhealthy.
fn group(tags: &[(&str, &str)], attributes: Attributes) -> GroupSnapshot {
    let tag = |(key, value): &(&str, &str)| (format!("node-agent/{key}"), (*value).to_owned());
    let target = |id: &str, health| TargetState {
        target: Target::new(id, 8080),
        zone: None,
        health,
        reason: String::new(),
        administrative_override: None,
    };
    let targets = [
        target(ME, TargetHealth::Healthy),
        target(OTHER, TargetHealth::Healthy),
        target("i-0a000000000000003", TargetHealth::Unhealthy),
    ];
    GroupSnapshot::of(attributes, &tags.iter().map(tag).collect::<BTreeMap<_, _>>(), targets.to_vec())
}

fn refusals() -> Vec<Messages> {
    let us = |id| OwnIds { instance: id, addresses: &[] };
    let settings = Settings::default();
    let cross_zone = || Attributes { cross_zone: true, ..Attributes::default() };
    let start = |id, tags: &[(&str, &str)]| {
        group(tags, cross_zone()).may_begin(us(id), &settings).unwrap_err().to_string()
    };
    let in_a_cluster = GroupSnapshot { cluster: Some("prod".to_owned()), ..group(&[], cross_zone()) };
    let in_a_cluster = in_a_cluster.may_begin(us(ME), &settings).unwrap_err();
    let leave = |tags: &[(&str, &str)], attributes| {
        group(tags, attributes).may_leave(us(ME), &settings).unwrap_err().to_string()
    };
    vec![
        (
            "Stopped",
            vec![
                start(ME, &[("paused", "release day")]),
                start(ME, &[(&format!("lease/{OTHER}"), "v1 p=failed e=1")]),
            ],
        ),
        ("BadPolicy", vec![start(ME, &[("max-unavailable", "half")])]),
        ("Refusal", vec![start("i-0a000000000000003", &[]), in_a_cluster.to_string()]),
        (
            "Shortage",
            vec![
                start(ME, &[("fleet-size", "4")]),
                leave(&[("fleet-size", "3")], cross_zone()),
                leave(&[("max-unavailable", "3"), ("min-healthy", "2")], cross_zone()),
                leave(&[("max-unavailable", "3")], Attributes { minimum_healthy_count: 2, ..cross_zone() }),
                leave(
                    &[("max-unavailable", "3"), (&format!("lease/{OTHER}"), "v1 p=held e=1 k=3")],
                    cross_zone(),
                ),
                leave(&[("max-unavailable", "3")], Attributes::default()),
                group(&[("fleet-size", "3")], cross_zone())
                    .enough_left(us(ME), &settings)
                    .unwrap_err()
                    .to_string(),
            ],
        ),
        of(
            "Refused",
            &[
                &Refused::TakesNoSlot {
                    id: OTHER.to_owned(),
                    state: LeaseState::Failed,
                    advice: "`node-agent lease clear` removes the mark",
                },
                &Refused::OneAtATime(OTHER.to_owned()),
                &Refused::TakesSlot { id: OTHER.to_owned(), what: "held" },
                &Refused::Waits(OTHER.to_owned()),
                &Refused::Registered { id: OTHER.to_owned(), state: "healthy".to_owned() },
            ],
        ),
    ]
}

/// What a second request is told while a maintenance is at this phase.
fn in_the_way(phase: Phase, driven: bool) -> String {
    let began = Moment { boot_id: "boot".to_owned(), uptime_ms: 0, utc: Timestamp::UNIX_EPOCH };
    let request = Request::new("one".to_owned(), Settings::default());
    let failure = Failure {
        phase,
        reason: "check_health: gave up after 10m".to_owned(),
        configuration: false,
        turned_back: None,
    };
    let operation = Operation { phase, failure: Some(failure), ..Operation::new(request, began) };
    operation.in_the_way(driven).reason
}

fn maintenance() -> Vec<Messages> {
    let no_way = |event| DriveError::from(NoSuchWay { phase: Phase::Done, event }).to_string();
    vec![
        (
            "NoSuchWay",
            vec![
                no_way(Event::Ended(Outcome::Blocked)),
                no_way(Event::Restarted { booted: false }),
                no_way(Event::Restarted { booted: true }),
                no_way(Event::GoesDown(GoingDown::Reboot)),
                no_way(Event::GoesDown(GoingDown::PowerOff)),
                no_way(Event::WantedBack),
            ],
        ),
        of("DriveError", &[&DriveError::BootId(io::Error::from_raw_os_error(2))]),
        of(
            "Why",
            &[
                &Why::StoppedBeforeLeaving,
                &Why::BootedBeforeCommand,
                &Why::CommandCutOff,
                &Why::BootedBeforeDrained,
                &Why::TooLate,
                &Why::TooManyBoots,
            ],
        ),
        // A cancelled phase ends with one of these; the other texts of StepError are put together by the steps.
        of(
            "StepError",
            &[&TurnedBack::Stopped, &TurnedBack::WantedBack, &TurnedBack::AskerGone, &TurnedBack::WindowOver],
        ),
        (
            "A second request",
            vec![
                in_the_way(Phase::Halted, true),
                in_the_way(Phase::Drained, true),
                in_the_way(Phase::Drain, true),
                in_the_way(Phase::Drain, false),
            ],
        ),
        of(
            "CommandEnd",
            &[&CommandEnd::Exited(1), &CommandEnd::Killed(9), &CommandEnd::Stopped, &CommandEnd::TimedOut],
        ),
        of(
            "MachineError",
            &[&MachineError { what: "run `reboot`".to_owned(), cause: "not found".to_owned() }],
        ),
        of("NotEnded", &[&NotEnded::TooLong(Duration::from_secs(30))]),
    ]
}

fn all() -> Vec<Messages> {
    let first = vec![settings(), journal(), call_errors()];
    [first, aws(), vec![standby()], refusals(), maintenance()].concat()
}

#[test]
fn each_error_reads_as_reviewed() {
    let shown = all().into_iter().map(|(name, messages)| format!("## {name}\n\n{}\n", messages.join("\n")));
    let shown = shown.collect::<Vec<_>>().join("\n");
    insta::with_settings!({ snapshot_path => "../../tests/snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("errors", shown);
    });
}

#[test]
fn no_type_of_errors_is_left_out() {
    fn types(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                types(&path, found);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            for after in source.split(concat!("thiserror", "::Error)]")).skip(1) {
                let mut words = after.split(|c: char| !c.is_alphanumeric());
                words.find(|word| ["enum", "struct"].contains(word));
                found.push(words.next().unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    types(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() >= 19, "{found:?}");
    let shown: Vec<_> = all().into_iter().map(|(name, _)| name).collect();
    // Shown as part of CallError; and a service's answer in its own words.
    let elsewhere = ["CallErrorKind", "ServiceError"];
    for name in found.iter().filter(|name| !elsewhere.contains(&name.as_str())) {
        assert!(shown.contains(&name.as_str()), "{name} is not in the snapshot");
    }
}
