//! Tags of a group, one a line, key and value apart by a tab: nothing that others write makes a decision impossible, and
//! what cannot be read is held.
#![no_main]

use libfuzzer_sys::fuzz_target;
use node_agent::lease::operator::{broken, may_break, may_clear, may_collect};
use node_agent::lease::tag::MAX_VALUE;
use node_agent::lease::{LeaseState, Leases, Reading};
use node_agent::lease::policy::Policy;
use std::collections::BTreeMap;

fuzz_target!(|text: &str| {
    let pair = |line: &str| line.split_once('\t').map(|(key, value)| (key.to_owned(), value.to_owned()));
    let tags: BTreeMap<String, String> = text.lines().filter_map(pair).collect();
    for value in tags.values() {
        let reading = Reading::parse(value);
        let free = matches!(reading.state(), Some(LeaseState::Waiting | LeaseState::Failed | LeaseState::Broken));
        assert_eq!(reading.takes_slot(), !free);
        let again = broken(&reading).to_string();
        assert!(again.len() <= MAX_VALUE, "{again}");
        assert_eq!(Reading::parse(&again).state(), Some(LeaseState::Broken));
    }
    let leases = Leases::from_tags(&tags);
    if let Ok(policy) = Policy::from_tags(&tags) {
        assert!(leases.slots("i-1", &policy) >= 1);
        let _ = (leases.may_start("i-1", &policy), leases.confirm("i-1", "1", &policy));
    }
    let _ = (may_break(&tags, "i-1"), may_clear(&tags, "i-1"), may_collect(&tags, &[], "i-1"), leases.queue());
});
