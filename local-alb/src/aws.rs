//! What AWS shows of a load balancer: its APIs, the metadata services of its instances, and its listeners.

use crate::load_balancer::LocalAlb;
use crate::serve::Served;
use crate::{api, imds, proxy};
use axum::Router;

/// What AWS shows. The methods of [`LocalAlb`] itself do what no client of AWS can.
#[derive(Debug, Clone)]
pub struct Aws(LocalAlb);

impl LocalAlb {
    /// What AWS shows.
    pub fn aws(&self) -> Aws {
        Aws(self.clone())
    }
}

impl Aws {
    /// The ELBv2 Query API.
    pub fn elastic_load_balancing(&self) -> Router {
        api::router(self.0.clone(), api::ELASTIC_LOAD_BALANCING)
    }

    /// The Auto Scaling Query API.
    pub fn auto_scaling(&self) -> Router {
        api::router(self.0.clone(), api::AUTO_SCALING)
    }

    /// The instance metadata service of one instance.
    pub fn instance_metadata(&self, instance_id: &str) -> Router {
        imds::router(self.0.clone(), instance_id)
    }

    /// A listener that forwards to one target group, for [`serve`](crate::serve()).
    pub fn listener(&self, target_group_arn: &str) -> Served {
        proxy::listener(self.0.clone(), target_group_arn)
    }
}
