//! The model must be able to fail: each rule that docs/lease.md calls needed is taken out once, and the way to too many
//! nodes out, or to none ever again, is expected and printed.

use crate::groups::{self, TwoGroups};
use crate::model::fails;
use crate::progress::dead_end;
use crate::rules::Rule;
use crate::setup::fleet;

#[test]
fn r1_a_hidden_retry_lands_on_a_later_write() {
    fails(fleet("2 nodes, K 1, a hidden retry", 2, 1).hidden_retries(1).without(Rule::R1));
}

#[test]
fn r2_a_claim_does_not_wait_for_an_earlier_write() {
    fails(fleet("2 nodes, K 1, a lost answer", 2, 1).lost_answers(1).without(Rule::R2));
}

#[test]
fn r3_a_late_deregistration_outlives_the_lease() {
    fails(fleet("2 nodes, K 1, a lost answer", 2, 1).lost_answers(1).without(Rule::R3));
}

#[test]
fn own_epoch_an_earlier_claim_is_taken_for_the_new_one() {
    fails(fleet("2 nodes, K 1, snapshots of any age", 2, 1).snapshots(3).without(Rule::OwnEpoch));
}

#[test]
fn settle_is_whole_a_claim_is_confirmed_before_all_see_it() {
    fails(fleet("2 nodes, K 1", 2, 1).without(Rule::SettleIsWhole));
}

#[test]
fn step_down_two_that_see_each_other_both_go() {
    fails(fleet("2 nodes, K 1", 2, 1).without(Rule::StepDown));
}

#[test]
fn combined_test_a_wiped_node_and_a_holder_are_not_added_up() {
    fails(fleet("3 nodes, K 2, a wipe", 3, 2).wipes(1).without(Rule::CombinedTest));
}

#[test]
fn restart_waits_a_node_without_a_record_trusts_target_health() {
    fails(fleet("2 nodes, K 1, a record lost", 2, 1).lost_records(1).without(Rule::RestartWaits));
}

#[test]
fn seen_healthy_a_booted_node_frees_its_slot_before_its_service_is_up() {
    fails(fleet("2 nodes, K 1, a crash", 2, 1).crashes(1).without(Rule::SeenHealthy));
}

#[test]
fn counts_from_boot_a_deregistration_from_before_a_boot_lands_after_the_release() {
    fails(fleet("2 nodes, K 1, a crash", 2, 1).crashes(1).without(Rule::CountsFromBoot));
}

#[test]
fn restart_waits_without_tag_a_late_entry_in_the_queue_frees_a_slot_in_use() {
    let setup = fleet("2 nodes, K 1, queue, a record lost", 2, 1).queue().lost_records(1);
    fails(setup.without(Rule::RestartWaitsWithoutTag));
}

#[test]
fn held_does_not_age_a_paused_owner_is_taken_for_a_dead_one() {
    fails(fleet("2 nodes, K 1", 2, 1).without(Rule::HeldDoesNotAge));
}

#[test]
fn one_break_at_a_time_two_living_owners_are_broken() {
    fails(fleet("3 nodes, K 2, 2 breaks", 3, 2).breaks(2).without(Rule::OneBreakAtATime));
}

#[test]
fn give_back_two_nodes_wait_for_each_other_for_ever() {
    let model = TwoGroups { crashes: 0, without: Some(Rule::GiveBack) };
    let state =
        dead_end(&model, groups::Action::lets_out).expect_err("without the give-back nothing goes wrong");
    println!("Without GiveBack (3 nodes in 2 groups) nobody is let out any more from: {state}");
}
