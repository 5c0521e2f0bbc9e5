//! A stand-in for an AWS Application Load Balancer, on loopback.
//!
//! [`LocalAlb`] holds the model and its background tasks. Its interfaces are axum routers: [`LocalAlb::api`] is the ELBv2
//! Query API, [`LocalAlb::proxy`] forwards requests to the targets of a group, and [`LocalAlb::imds`] is the instance
//! metadata service of one node. [`serve`] serves a router on a socket. Tests on a paused clock call the API's router in
//! process instead (feature `in-process`).
//!
//! It behaves like AWS where that matters to an agent: targets are identified by (id, port), a deregistration reaches the
//! data plane late, `draining` lasts for the whole deregistration delay, reads can be stale, and responses can be lost.
//!
//! It uses loopback addresses only. [`serve`] refuses other listeners. An instance can have another address, but no socket
//! is ever opened to it: its HTTP health checks fail, and requests to it get 503.

mod api;
mod auto_scaling;
pub mod config;
mod create;
mod dial;
mod faults;
mod health;
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

use axum::Router;
pub use create::CreateError;
pub use faults::{Bucket, Buckets, Fault, Faults};
pub use load_balancer::{Call, LocalAlb};
pub use model::scaling_group::AutoScalingGroup;
pub use model::target::TargetHealth;
pub use serve::{ServeError, Served, serve};
pub use settings::{HealthCheck, Instance, Probe, Probes, Script, Settings, TargetGroupSettings};
pub use truth::TargetView;

impl LocalAlb {
    /// The ELBv2 Query API.
    pub fn api(&self) -> Router {
        api::router(self.clone(), api::ELASTIC_LOAD_BALANCING)
    }

    /// The Auto Scaling Query API.
    pub fn auto_scaling_api(&self) -> Router {
        api::router(self.clone(), api::AUTO_SCALING)
    }

    /// The instance metadata service of one instance.
    pub fn imds(&self, instance_id: &str) -> Router {
        imds::router(self.clone(), instance_id)
    }

    /// A listener that forwards to one target group, for [`serve`].
    pub fn proxy(&self, target_group_arn: &str) -> Served {
        proxy::listener(self.clone(), target_group_arn)
    }
}
