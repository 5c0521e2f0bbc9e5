//! The agent of one node: the driver's unit, the shutdown guard, and the parts of every driver.

pub(crate) mod failure;
pub(crate) mod gather;
pub(crate) mod lost;
pub mod lost_record;
pub(crate) mod open;
pub(crate) mod shutdown_guard;
pub(crate) mod signals;
pub mod stuck;
pub(crate) mod unit;
pub(crate) mod who;
