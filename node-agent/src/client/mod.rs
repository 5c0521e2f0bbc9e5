//! Asking the driver of this node, and following what it does.

mod driven;
pub(crate) mod drives;
pub(crate) mod end;
pub(crate) mod follow;
pub(crate) mod start;
