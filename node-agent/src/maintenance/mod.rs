//! A running maintenance: the loop, one step for each phase, and what they share.
//!
//! `drive` and `parked` call the steps; the steps call `context`, `wait`, `inbox` and `lease_writer`.

pub mod before_shutdown;
pub mod context;
pub mod drive;
mod failing;
mod inbox;
mod kept_out;
mod last_look;
mod lease_claim;
mod lease_writer;
pub(crate) mod limits;
pub(crate) mod local_check;
pub(crate) mod notify;
mod parked;
pub mod progress;
pub mod read_group;
mod registered;
mod steps;
mod wait;
mod way;
