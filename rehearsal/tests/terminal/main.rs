//! `maintain` on a terminal that is closed in every phase: where this process drives, and where it follows a driver.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

#[path = "../estate/mod.rs"]
mod estate;
#[allow(dead_code, reason = "the tests of the driver as a unit use more of it")]
#[path = "../driver_unit/machine.rs"]
mod machine;
#[allow(dead_code, reason = "the tests of the driver as a unit use more of it")]
#[path = "../driver_unit/ssm.rs"]
mod ssm;
#[path = "../ssm_agent/mod.rs"]
mod ssm_agent;

mod every_phase;
mod gate;
mod hangups;
mod pty;
mod stage;
