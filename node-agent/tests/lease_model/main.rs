//! Model check of the lease: every interleaving of a few nodes, with the functions that ship.
//!
//! Wipes of tags, two breaks, halted and failed tags and a changed K are in the model and have no test yet: their
//! configurations outgrow the tables of the state.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    dead_code,
    clippy::all,
    clippy::semicolon_if_nothing_returned,
    clippy::needless_pass_by_value,
    unreachable_pub,
    missing_docs,
    reason = "a test says what it expects by panicking, prints its figures, and has no users"
)]

mod crash;
mod decisions;
mod enabled;
mod groups;
mod model;
mod next;
mod people;
mod progress;
mod rules;
mod setup;
mod state;
mod step;
mod tag;

use groups::TwoGroups;
use model::{fails, holds};
use progress::{always_goes_on, dead_end};
use rules::Rule;
use setup::{Setup, fleet};
use stateright::{Checker, Model};
use step::{Action, Step};

fn lets_out(action: &Action) -> bool {
    action.step == Step::Deregistered
}

fn goes_on(setup: Setup) {
    always_goes_on(setup.name, &setup, lets_out);
}

/// At most K out and no lease freed by a node that is out, whatever goes wrong.
#[test]
fn at_most_k_are_out() {
    holds(fleet("2 nodes, K 1, crash, lost answer", 2, 1).crashes(1).lost_answers(1));
    holds(fleet("3 nodes, K 1", 3, 1));
    holds(fleet("3 nodes, K 2", 3, 2));
}

#[test]
fn nodes_with_two_groups_do_not_wait_for_each_other_for_ever() {
    let model = TwoGroups { crashes: 1, without: None };
    always_goes_on("3 nodes in 2 groups, crash", &model, groups::Action::lets_out);
    model.checker().spawn_bfs().join().assert_properties();
}

#[test]
fn without_the_give_back_they_do() {
    let model = TwoGroups { crashes: 0, without: Some(Rule::GiveBack) };
    let state = dead_end(&model, groups::Action::lets_out).unwrap_err();
    println!("Without GiveBack nobody is let out any more from: {state}");
}

#[test]
fn progress_of_two() {
    goes_on(fleet("2 nodes, K 1, queue, crash", 2, 1).queue().lost_records(1));
}
#[test]
fn without_r1() {
    fails(fleet("2 nodes, K 1", 2, 1).hidden_retries(1).without(Rule::R1));
}
#[test]
fn without_r2() {
    fails(fleet("2 nodes, K 1", 2, 1).lost_answers(1).without(Rule::R2));
}
#[test]
fn without_r3() {
    fails(fleet("2 nodes, K 1", 2, 1).lost_answers(1).without(Rule::R3));
}
#[test]
fn without_step_down() {
    fails(fleet("2 nodes, K 1", 2, 1).without(Rule::StepDown));
}
#[test]
fn without_own_epoch() {
    fails(fleet("2 nodes, K 1, snapshots", 2, 1).snapshots(3).without(Rule::OwnEpoch));
}
#[test]
fn without_restart_waits() {
    fails(fleet("2 nodes, K 1", 2, 1).lost_records(1).without(Rule::RestartWaits));
}
#[test]
fn without_held_does_not_age() {
    fails(fleet("2 nodes, K 1", 2, 1).without(Rule::HeldDoesNotAge));
}
#[test]
fn without_one_break() {
    fails(fleet("3 nodes, K 2", 3, 2).breaks(2).without(Rule::OneBreakAtATime));
}
