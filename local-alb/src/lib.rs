//! A stand-in for an AWS Application Load Balancer, on loopback.
//!
//! [`LocalAlb`] holds the model and its background tasks. [`LocalAlb::aws`] is what AWS shows of it, as axum routers: the
//! APIs, the metadata service of each instance, and the listeners, which forward requests to the targets of a group.
//! [`serve`] serves a router on a socket. Tests on a paused clock call the API's router in process instead (feature
//! `in-process`). The other methods of [`LocalAlb`] do what no client can: they set faults, act as a third party, and tell
//! the truth when the API's answers are stale.
//!
//! It behaves like AWS where that matters to an agent: targets are identified by (id, port), a deregistration reaches the
//! data plane late, `draining` lasts for the whole deregistration delay, reads can be stale, and responses can be lost.
//!
//! It uses loopback addresses only. [`serve`] refuses other listeners. An instance can have another address, but no socket
//! is ever opened to it: its HTTP health checks fail, and requests to it get 503.

mod api;
mod auto_scaling;
mod aws;
pub mod config;
mod create;
mod dial;
mod faults;
mod health;
mod idle;
mod imds;
#[cfg(feature = "in-process")]
pub mod in_process;
mod length;
mod load_balancer;
mod model;
mod owner;
mod proxy;
mod serve;
mod settings;
mod truth;

pub use aws::Aws;
pub use create::CreateError;
pub use faults::{Bucket, Buckets, Fault, Faults};
pub use load_balancer::{Call, LocalAlb};
pub use model::scaling_group::AutoScalingGroup;
pub use model::target::TargetHealth;
pub use serve::{ServeError, Served, serve};
pub use settings::{HealthCheck, Instance, Probe, Probes, Script, Settings, TargetGroupSettings};
pub use truth::TargetView;
