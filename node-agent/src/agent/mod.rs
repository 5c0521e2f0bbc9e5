//! The agent of one node: the daemon, the guard of a shutdown, and what every driver is put together from.

pub(crate) mod failure;
pub(crate) mod gather;
pub(crate) mod lost;
pub mod lost_record;
pub(crate) mod open;
pub(crate) mod shutdown_guard;
pub(crate) mod signals;
pub(crate) mod unit;
pub(crate) mod who;
