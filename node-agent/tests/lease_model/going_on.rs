//! From every state that can be reached, with crashed nodes restarting and halted ones resumed, somebody can still be
//! let out.

use crate::groups::{self, TwoGroups};
use crate::progress::always_goes_on;
use crate::setup::{Setup, fleet};
use crate::step::{Action, Step};
use stateright::{Checker, Model};

fn goes_on(setup: &Setup) {
    always_goes_on(setup.name, setup, |action: &Action| action.step == Step::Deregistered);
}

#[test]
fn after_a_crash_or_a_lost_record() {
    goes_on(&fleet("2 nodes, K 1, queue: crash, record lost", 2, 1).queue().lost_records(1));
}

#[test]
fn after_failures_and_halts() {
    goes_on(&fleet("2 nodes, K 1, queue: failure, halt", 2, 1).queue().failures(1).halts(1));
}

#[test]
fn after_a_wipe() {
    goes_on(&fleet("2 nodes, K 1, queue: wipe", 2, 1).queue().wipes(1));
}

#[test]
fn with_two_groups_in_opposite_orders() {
    let model = TwoGroups { crashes: 1, without: None };
    always_goes_on("3 nodes in 2 groups: crash", &model, groups::Action::lets_out);
    model.checker().spawn_bfs().join().assert_properties();
}

#[test]
#[ignore = "large: scripts/check-lease"]
fn large_fleets_after_crashes() {
    goes_on(&fleet("3 nodes, K 1, queue: crash", 3, 1).queue().crashes(1));
    goes_on(&fleet("3 nodes, K 2, queue: crash", 3, 2).queue().crashes(1));
    goes_on(&fleet("2 nodes, K 1, queue: crash, lost answer", 2, 1).queue().crashes(1).lost_answers(1));
}

#[test]
#[ignore = "large: scripts/check-lease"]
fn large_fleets_after_what_people_do() {
    goes_on(&fleet("3 nodes, K 2, queue: wipe", 3, 2).queue().wipes(1));
    goes_on(&fleet("2 nodes, K 1, queue: break, crash", 2, 1).queue().breaks(1).crashes(1));
    goes_on(&fleet("2 nodes, K 1 to 2, queue: failure", 2, 1).queue().changes_of_k(1).failures(1));
    goes_on(&fleet("3 nodes, K 1, queue: termination", 3, 1).queue().terminations(1));
}
