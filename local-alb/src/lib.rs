//! A stand-in for an AWS Application Load Balancer, on loopback.
//!
//! [`LocalAlb`] is the model and its background tasks. It has three faces, each an axum router: [`LocalAlb::api`] speaks the
//! ELBv2 Query API, [`LocalAlb::proxy`] forwards requests to the targets of a group, [`LocalAlb::imds`] is the instance
//! metadata service of one node. [`serve`] puts a router on a socket; in a test on a paused clock the API's router is
//! called in process instead (`in_process`, behind the feature of that name).
//!
//! It behaves as AWS does where an agent could trip: targets are keyed by (id, port), a deregistration reaches the data
//! plane late, `draining` lasts for the whole delay, reads may be stale, answers may be lost.
//!
//! It stays on loopback: [`serve`] refuses other listeners, and health checks and requests go to loopback addresses only.
//! An instance may have another address, but no socket is ever opened to it: over HTTP its checks fail and its requests get 503.

mod api;
mod auto_scaling;
pub mod config;
mod create;
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
pub use serve::{ServeError, serve};
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

    /// A listener that forwards to one target group. Needs [`serve`], which tells it the client's address.
    pub fn proxy(&self, target_group_arn: &str) -> Router {
        proxy::router(self.clone(), target_group_arn)
    }
}
