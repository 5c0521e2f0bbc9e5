//! The agent of one node.

pub mod lost_record;
