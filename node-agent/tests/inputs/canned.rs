//! The load balancer's API with answers made by hand, behind the SDK's own parser.

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::config::retry::RetryConfig;
use aws_sdk_elasticloadbalancingv2::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use node_agent::aws::load_balancer::LoadBalancer;

pub const ARN: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef";

/// Every call gets this answer.
#[derive(Debug, Clone)]
struct Canned {
    status: u16,
    body: Vec<u8>,
}

impl HttpClient for Canned {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Canned {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let status = self.status.try_into().unwrap();
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(self.body.clone()))))
    }
}

fn config() -> Builder {
    aws_sdk_elasticloadbalancingv2::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("x", "y", None, None, "test"))
        .retry_config(RetryConfig::disabled())
}

/// An API whose every answer is this.
pub fn answering(status: u16, body: impl Into<Vec<u8>>) -> LoadBalancer {
    let canned = Canned { status, body: body.into() };
    LoadBalancer::new(Client::from_conf(config().http_client(canned).build()))
}

/// The API at this URL.
pub fn at(url: &str) -> LoadBalancer {
    LoadBalancer::new(Client::from_conf(config().endpoint_url(url).build()))
}

/// The answer to a call, as the service wraps it.
pub fn xml(call: &str, inside: &str) -> String {
    format!("<{call}Response><{call}Result>{inside}</{call}Result></{call}Response>")
}

/// Runs one call.
pub fn now<T>(call: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(call)
}
