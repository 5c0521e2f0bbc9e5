//! Model check of the lease: every interleaving of a few nodes, with the functions that ship.
//!
//! `holding` has what must never happen, `going_on` what must always be possible, `without` what goes wrong when a rule
//! is taken out. The rest is the model: `state` and `step` say what there is, `enabled` what can happen, `next` what
//! comes of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    reason = "a test says what it expects by panicking, prints its figures, and has no users"
)]

mod crash;
mod decisions;
mod enabled;
mod going_on;
mod groups;
mod holding;
mod model;
mod next;
mod people;
mod progress;
mod restart;
mod rules;
mod setup;
mod state;
mod step;
mod tag;
mod without;
