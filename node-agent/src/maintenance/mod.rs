//! A maintenance at work: the loop, one step a phase, and what they share.
//!
//! `drive` and `parked` stand above the steps; `context`, `wait`, `inbox` and `lease_writer` below them.

pub mod before_shutdown;
pub mod context;
pub mod drive;
mod inbox;
mod last_look;
mod lease_claim;
mod lease_writer;
mod notify;
mod parked;
pub mod progress;
pub mod read_group;
mod steps;
mod wait;
mod way;
