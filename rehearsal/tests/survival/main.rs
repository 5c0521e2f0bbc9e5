//! Stopped or lied to at any point, a node ends back in service, or halted with its reason: the whole matrix.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_types,
    unreachable_pub,
    reason = "tests say what they expect by panicking, and print how much they tried"
)]

#[path = "../fleet/mod.rs"]
mod fleet;

mod api_faults;
mod cannot_go_on;
mod chance;
mod crash_points;
mod full_disk;
mod kind;
mod lost_record;
mod phases;
mod play;
mod points;
mod repeated_ids;
mod rollback;
mod trouble;
mod verdict;
mod wire;
