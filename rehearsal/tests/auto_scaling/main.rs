//! `--asg standby`: the Auto Scaling group moves the instance out and back, on a paused clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

#[path = "../fleet/mod.rs"]
mod fleet;

mod group;
mod killed;
mod maintenance;
mod refused;
mod unanswered;
