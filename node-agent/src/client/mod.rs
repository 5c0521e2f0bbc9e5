//! Asks the driver of this node, and follows it.

mod driven;
pub(crate) mod drives;
pub(crate) mod end;
pub(crate) mod follow;
pub(crate) mod start;
