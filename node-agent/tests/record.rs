//! The record on a disk that is full, read-only or damaged: it is refused, kept, and the message says what to do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what it expects by panicking"
)]

use node_agent::record::journal::{self, Journal};
use proptest::prelude::*;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A record with a maintenance in it, as version 0.1.0 writes it: later versions must read it.
const RECORD: &str = include_str!("record.json");

fn dir_with(text: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("record.json"), text).unwrap();
    dir
}

fn on_disk(dir: &Path) -> Vec<u8> {
    std::fs::read(dir.join("record.json")).unwrap()
}

fn open(dir: &Path) -> Result<Journal, journal::JournalError> {
    Journal::open(dir)?.for_instance("i-00000000000000001", "us-east-1")
}

#[test]
fn the_example_is_a_record_of_a_maintenance_under_way() {
    let dir = dir_with(RECORD.as_bytes());
    let record = journal::read(dir.path()).unwrap().unwrap();
    assert!(
        record.operation.is_some_and(|operation| operation.left.is_some() && operation.groups.len() == 1)
    );
}

#[test]
fn a_record_truncated_at_any_byte_is_refused_and_kept() {
    let whole = RECORD.trim_end().len();
    for length in 0..whole {
        let dir = dir_with(&RECORD.as_bytes()[..length]);
        let error = open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("failed to read the record") && error.contains("nothing was done"), "{error}");
        assert_eq!(on_disk(dir.path()), &RECORD.as_bytes()[..length], "changed, truncated at {length}");
    }
}

#[test]
fn a_record_of_a_newer_version_is_refused_and_kept() {
    let newer = RECORD.replacen("\"version\": 2", "\"version\": 3", 1);
    let dir = dir_with(newer.as_bytes());
    let error = open(dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("it has version 3") && error.contains("Install the newer node-agent again"),
        "{error}"
    );
    assert_eq!(on_disk(dir.path()), newer.as_bytes());
}

#[test]
fn a_record_of_before_the_first_release_is_replaced_unless_a_maintenance_is_in_it() {
    let old = r#"{"version": 1, "instance_id": "i-00000000000000001", "operation": null, "finished": []}"#;
    let journal = open(dir_with(old.as_bytes()).path()).unwrap();
    assert_eq!(journal.record.operation, None);
    let under_way = RECORD.replacen("\"version\": 2", "\"version\": 1", 1);
    let dir = dir_with(under_way.as_bytes());
    let error = open(dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("it was written before the first release") && error.contains("nothing was done"),
        "{error}"
    );
    assert_eq!(on_disk(dir.path()), under_way.as_bytes());
}

#[test]
fn a_record_with_settings_of_another_version_still_brings_the_node_back() {
    let settings = "\"settings\": {";
    let newer = RECORD.replacen(settings, &format!("{settings} \"waves\": 3, \"on_unhealthy\": \"ask\","), 1);
    let record = journal::read(dir_with(newer.as_bytes()).path()).unwrap().unwrap();
    assert_eq!(record.operation.unwrap().request.settings.target_groups, ["web"]);
}

#[test]
fn a_file_of_endless_length_is_not_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    symlink("/dev/zero", dir.path().join("record.json")).unwrap();
    let error = open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("it is longer than"), "{error}");
}

#[test]
fn on_a_full_disk_the_record_stays_as_it_was() {
    let dir = dir_with(RECORD.as_bytes());
    let mut journal = open(dir.path()).unwrap();
    symlink("/dev/full", dir.path().join("record.json.new")).unwrap();
    journal.record.fleet_seen = 7;
    let error = journal.save().unwrap_err().to_string();
    assert!(
        error.contains("No space left on device") && error.contains("free or repair the disk"),
        "{error}"
    );
    assert_eq!(on_disk(dir.path()), RECORD.as_bytes());
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    // Nobody, root included, may make files there.
    let error = Journal::open(Path::new("/proc/self/task")).unwrap_err().to_string();
    assert!(error.starts_with("failed to open the lock /proc/self/task/lock: "), "{error}");
    let error = Journal::open(Path::new("/dev/null/state")).unwrap_err().to_string();
    assert!(error.starts_with("failed to make the directory /dev/null/state: "), "{error}");
}

#[test]
fn a_directory_that_has_gone_stops_the_next_write() {
    let dir = dir_with(RECORD.as_bytes());
    let journal = open(dir.path()).unwrap();
    dir.close().unwrap();
    let error = journal.save().unwrap_err().to_string();
    assert!(error.starts_with("failed to write the record "), "{error}");
}

proptest! {
    #[test]
    fn whatever_is_in_the_file_it_is_understood_or_kept(text in prop::collection::vec(any::<u8>(), 0..400)) {
        let dir = dir_with(&text);
        if open(dir.path()).is_err() {
            prop_assert_eq!(on_disk(dir.path()), text);
        }
    }

    #[test]
    fn a_damaged_byte_is_never_a_panic_and_never_a_loss(at in 0..RECORD.len(), byte in any::<u8>()) {
        let mut text = RECORD.as_bytes().to_vec();
        text[at] = byte;
        let dir = dir_with(&text);
        match open(dir.path()) {
            // The damage is inside a value, or in the instance id: then it is another instance's, and set aside.
            Ok(_) => {
                let files = std::fs::read_dir(dir.path()).unwrap();
                let kept = files.filter_map(|file| std::fs::read(file.unwrap().path()).ok());
                prop_assert!(kept.into_iter().any(|found| found == text));
            }
            Err(_) => prop_assert_eq!(on_disk(dir.path()), text),
        }
    }
}
