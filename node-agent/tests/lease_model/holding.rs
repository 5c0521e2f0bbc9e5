//! At most K out, and no lease freed by a node that is out, whatever goes wrong: small fleets in the ordinary suite,
//! larger ones and more faults at a time by scripts/check-lease.

use crate::model::holds;
use crate::setup::fleet;

#[test]
fn with_crashes_and_lost_answers() {
    holds(fleet("2 nodes, K 1: crash, lost answer", 2, 1).crashes(1).lost_answers(1));
    holds(fleet("3 nodes, K 1: crash", 3, 1).crashes(1));
    holds(fleet("3 nodes, K 2: crash", 3, 2).crashes(1));
    holds(fleet("2 nodes, K 1: crash, record lost", 2, 1).lost_records(1));
}

#[test]
fn when_somebody_wipes_the_tags() {
    holds(fleet("2 nodes, K 1: wipe", 2, 1).wipes(1));
    holds(fleet("3 nodes, K 2: wipe", 3, 2).wipes(1));
    holds(fleet("2 nodes, K 1: wipe, crash", 2, 1).wipes(1).crashes(1));
}

#[test]
fn when_nodes_give_up_wherever_they_wait() {
    holds(fleet("2 nodes, K 1: 2 give-ups", 2, 1).give_ups(2));
    holds(fleet("2 nodes, K 1, queue: give-up, crash", 2, 1).queue().give_ups(1).crashes(1));
    holds(fleet("3 nodes, K 2: give-up", 3, 2).give_ups(1));
}

#[test]
fn when_somebody_turns_a_lease_into_a_tag_that_takes_no_slot() {
    holds(fleet("2 nodes, K 1: turned", 2, 1).turns(1));
    holds(fleet("3 nodes, K 2: turned", 3, 2).turns(1));
    holds(fleet("2 nodes, K 1: turned, crash", 2, 1).turns(1).crashes(1));
}

#[test]
fn when_an_operator_breaks_the_lease_of_a_living_node() {
    holds(fleet("2 nodes, K 1: break", 2, 1).breaks(1));
    holds(fleet("3 nodes, K 2: break", 3, 2).breaks(1));
}

#[test]
fn with_failed_and_halted_nodes() {
    holds(fleet("2 nodes, K 1: failure, halt", 2, 1).failures(1).halts(1));
    holds(fleet("2 nodes, K 1: halt, crash", 2, 1).halts(1).crashes(1));
    holds(fleet("2 nodes, K 1, queue: failure, halt", 2, 1).queue().failures(1).halts(1));
}

#[test]
fn with_the_look_after_leaving() {
    holds(fleet("2 nodes, K 1, look after leaving: crash", 2, 1).post_check().crashes(1));
    holds(fleet("2 nodes, K 1, look after leaving: wipe", 2, 1).post_check().wipes(1));
}

#[test]
fn with_terminated_owners() {
    holds(fleet("2 nodes, K 1: termination, lost answer", 2, 1).terminations(1).lost_answers(1));
    holds(fleet("3 nodes, K 2: termination", 3, 2).terminations(1));
}

#[test]
fn when_k_changes() {
    holds(fleet("3 nodes, K 1 to 2 and back", 3, 1).changes_of_k(2));
    holds(fleet("3 nodes, K 2 to 1", 3, 2).changes_of_k(1));
}

#[test]
#[ignore = "large: scripts/check-lease"]
fn large_with_crashes_and_lost_answers() {
    holds(fleet("3 nodes, K 1: crash, lost answer", 3, 1).crashes(1).lost_answers(1));
    holds(fleet("3 nodes, K 2: crash, lost answer", 3, 2).crashes(1).lost_answers(1));
    holds(fleet("4 nodes, K 1: crash", 4, 1).crashes(1));
    holds(fleet("4 nodes, K 2: crash", 4, 2).crashes(1));
    holds(fleet("2 nodes, K 1: 2 crashes, 2 lost answers", 2, 1).crashes(2).lost_answers(2));
}

#[test]
#[ignore = "large: scripts/check-lease"]
fn large_with_wipes() {
    holds(fleet("3 nodes, K 1: wipe, crash, lost answer", 3, 1).wipes(1).crashes(1).lost_answers(1));
    holds(fleet("3 nodes, K 2: wipe, crash, lost answer", 3, 2).wipes(1).crashes(1).lost_answers(1));
    holds(fleet("3 nodes, K 2: 2 wipes", 3, 2).wipes(2));
    holds(fleet("4 nodes, K 2: wipe", 4, 2).wipes(1));
    holds(
        fleet("2 nodes, K 1: turned, wipe, crash, lost answer", 2, 1)
            .turns(1)
            .wipes(1)
            .crashes(1)
            .lost_answers(1),
    );
    holds(fleet("3 nodes, K 2: turned, crash", 3, 2).turns(1).crashes(1));
}

#[test]
#[ignore = "large: scripts/check-lease"]
fn large_with_breaks() {
    holds(fleet("2 nodes, K 1: 2 breaks, crash, lost answer", 2, 1).breaks(2).crashes(1).lost_answers(1));
    holds(fleet("3 nodes, K 2: 2 breaks", 3, 2).breaks(2));
    holds(fleet("3 nodes, K 2: break, wipe", 3, 2).breaks(1).wipes(1));
    holds(fleet("4 nodes, K 1: break", 4, 1).breaks(1));
}

#[test]
#[ignore = "large: scripts/check-lease"]
fn large_with_everything_else() {
    holds(fleet("3 nodes, K 2: failure, halt, crash", 3, 2).failures(1).halts(1).crashes(1));
    holds(fleet("2 nodes, K 1 to 2: failure, crash", 2, 1).failures(1).changes_of_k(1).crashes(1));
    holds(
        fleet("3 nodes, K 2: termination, crash, lost answer", 3, 2)
            .terminations(1)
            .crashes(1)
            .lost_answers(1),
    );
    holds(fleet("3 nodes, K 2: 2 crashes, record lost", 3, 2).crashes(2).lost_records(1));
    holds(fleet("3 nodes, K 2, look after leaving: wipe, crash", 3, 2).post_check().wipes(1).crashes(1));
}
