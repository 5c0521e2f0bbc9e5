//! Asks the driver of this node, and follows it.

mod driven;
pub(crate) mod drives;
pub(crate) mod end;
pub(crate) mod follow;
mod listening;
pub(crate) mod reboot_answer;
pub(crate) mod script;
pub(crate) mod start;
