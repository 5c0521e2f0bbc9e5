//! Whole fleets on a paused clock, with the driver and the lease code that ship: seeded, so that a failure can be played
//! again from the seed that it prints.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests say what they expect by panicking"
)]

mod changes;
#[path = "../fleet/mod.rs"]
mod fleet;
mod roll;
mod seeds;
mod trouble;
