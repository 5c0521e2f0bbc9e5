//! Whole maintenances on a paused clock: what a user would notice when all goes well, and when it does not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

#[path = "../fleet/mod.rs"]
mod fleet;

mod api;
mod command;
mod denied;
mod drain;
mod groups;
mod health;
mod idle_colour;
mod interference;
mod lease;
mod leaving;
mod local_check;
mod many_groups;
mod notices;
mod returning;
mod stop;
mod stuck;
mod turns;
mod waiting;
mod zones;
