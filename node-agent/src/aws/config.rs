//! Region and credentials, found in the SDK's usual places, but with our own client for the metadata service: the SDK's
//! client waits half a minute for an answer and reads an answer of any length.

use crate::aws::{http_client, instance_metadata};
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use std::time::Duration;

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The configuration for clients of AWS services. Looks up the region unless it is given.
pub(crate) async fn config(region: Option<String>, api_timeout: Duration) -> SdkConfig {
    let region = match region {
        Some(known) => Some(Region::new(known)),
        None => look_for_region().await,
    };
    if region.is_none() {
        // No call can be made. The SDK would look for the region again, and wait longer.
        return SdkConfig::builder().build();
    }
    let metadata = instance_metadata::metadata().build();
    let http_client = http_client::client();
    let provider = ProviderConfig::without_region().with_http_client(http_client.clone());
    let credentials = DefaultCredentialsChain::builder().configure(provider).imds_client(metadata);
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(api_timeout)
        .build();
    // A date: an update of the SDK must not change retries, time-outs or TLS by itself.
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client)
        .credentials_provider(credentials.region(region.clone()).build().await)
        .region(region)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .load()
        .await
}

/// Whether another API than that of AWS is called, as the variables say that the SDK reads.
pub(crate) fn is_a_stand_in() -> bool {
    let names = ["AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", "AWS_ENDPOINT_URL"];
    names.iter().any(|name| std::env::var_os(name).is_some_and(|url| !url.is_empty()))
}

async fn look_for_region() -> Option<Region> {
    let metadata = ImdsRegionProvider::builder().imds_client(instance_metadata::metadata().build());
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(metadata.build())
        .region()
        .await
}
