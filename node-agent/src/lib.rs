//! Takes an EC2 instance out of its load balancer, patches or reboots it, and brings it back.
//!
//! Arrows run one way, from the first of these folders to the last: `cli`, `client`, `agent`, `maintenance`, `record`,
//! `lease`, `aws`, `settings`, `machine`. ARCHITECTURE.md has the map; tests/tidy keeps the arrows.

pub mod agent;
pub mod aws;
pub mod cli;
mod client;
pub mod exit;
pub mod lease;
pub mod machine;
pub mod maintenance;
pub mod record;
pub mod settings;

pub use cli::run;
