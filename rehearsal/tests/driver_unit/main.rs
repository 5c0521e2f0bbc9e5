//! The driver as a unit of its own, and who follows it: the SSM agent's script runner, and people.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

#[path = "../estate/mod.rs"]
mod estate;
#[path = "../ssm_agent/mod.rs"]
mod ssm_agent;

mod associations;
mod going_down;
mod joined;
mod machine;
mod people;
mod requests;
mod run_command;
mod ssm;
mod stuck;
