//! Where the SDK finds region and credentials: in the places that it looks at by itself, but with our own client for the
//! metadata service. The SDK's gives a question half a minute and reads whatever it is answered to the end; ours does not.

use crate::aws::instance_metadata;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use std::time::Duration;

/// A connection that takes longer than this is not coming.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// What clients of AWS services are made from; the region is looked for unless it is known.
pub(crate) async fn config(region: Option<String>, api_timeout: Duration) -> SdkConfig {
    let region = match region {
        Some(known) => Some(Region::new(known)),
        None => look_for_region().await,
    };
    let metadata = instance_metadata::metadata().build();
    let credentials = DefaultCredentialsChain::builder().imds_client(metadata).region(region.clone());
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(api_timeout)
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .credentials_provider(credentials.build().await)
        .region(region)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .load()
        .await
}

async fn look_for_region() -> Option<Region> {
    let metadata = ImdsRegionProvider::builder().imds_client(instance_metadata::metadata().build());
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(metadata.build())
        .region()
        .await
}
