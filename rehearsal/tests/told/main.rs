//! What people are told: the reason and what to do, whatever is wrong with the machine, the account or the arguments.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

#[path = "../estate/mod.rs"]
mod estate;

mod certificates;
mod credentials;
mod environment;
mod exit_codes;
mod instance_id;
mod local_check;
mod messages;
mod reboot_required;
mod status;
