//! The record on disk: whatever damage left of it, it is refused or can be gone on from, and is written as it was read.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use node_agent::record::phase::{Event, Outcome};
use node_agent::machine::systemd::GoingDown;
use node_agent::record::Record;
use node_agent::machine::time::Moment;

fuzz_target!(|text: &[u8]| {
    let Ok(mut record) = serde_json::from_slice::<Record>(text) else { return };
    let written = serde_json::to_string(&record).unwrap();
    let again: Record = serde_json::from_str(&written).expect("what was written is read");
    assert_eq!(serde_json::to_string(&again).unwrap(), written);
    let Some(operation) = record.operation.clone() else { return };
    for boot in ["boot-1", "another"] {
        let now = Moment { boot_id: boot.to_owned(), uptime_ms: 1, utc: Timestamp::UNIX_EPOCH };
        let mut taken_up = operation.clone();
        taken_up.apply_restart(&now).expect("a restart has a way from every phase");
        let _ = taken_up.phase_began.at_least_until(&now);
        let _ = taken_up.deregistration_delay() + taken_up.slow_start();
        for outcome in [Outcome::Ok, Outcome::Failed, Outcome::Blocked, Outcome::Cancelled] {
            let _ = taken_up.clone().apply(Event::Ended(outcome), &now);
        }
        taken_up.apply(Event::GoesDown(GoingDown::Reboot), &now).expect("so has a shutdown");
    }
    let finished = record.finish(&operation, Timestamp::UNIX_EPOCH);
    assert!(record.finished.len() <= 50 && record.operation.is_none());
    assert!([0, 1, 2, 75].contains(&finished.exit_code));
});
