//! AWS as this program uses it: the load balancer, the Auto Scaling group, the instance metadata service.

pub mod auto_scaling;
pub mod config;
pub mod ec2;
pub mod health_check;
pub mod http_client;
pub mod instance_metadata;
pub mod load_balancer;
pub mod own_groups;
mod response_limit;
pub mod target_group;
