//! Takes an EC2 instance out of its load balancer, patches or reboots it, and brings it back.
//!
//! Arrows run one way: `cli` -> `driver` -> `steps` -> `ports` <- `adapters`. The pure parts (`phase`, `lease`,
//! `guard`, `policy`, `record`, `target_group`) import none of these. ARCHITECTURE.md has the map.

pub mod adapters;
pub mod auto_scaling;
pub mod blocks;
mod bounded;
pub mod cli;
pub mod disk;
pub mod driver;
pub mod ec2;
pub mod exit;
pub mod guard;
mod hearing;
pub mod identity;
pub mod journal;
pub mod lease;
mod lease_tags;
pub mod load_balancer;
pub mod lost_record;
pub mod membership;
mod notification;
pub mod phase;
pub mod policy;
pub mod ports;
pub mod progress;
pub mod reading;
pub mod record;
pub mod requests;
pub mod settings;
pub mod shutdown;
mod staying;
mod steps;
pub mod target_group;
pub mod time;
mod waiting;

pub use cli::run;
