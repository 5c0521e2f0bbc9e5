//! Takes an EC2 instance out of its load balancer, patches or reboots it, and brings it back.

pub mod exit;
pub mod guard;
pub mod journal;
pub mod lease;
pub mod phase;
pub mod policy;
pub mod record;
pub mod settings;
pub mod target_group;
pub mod time;
