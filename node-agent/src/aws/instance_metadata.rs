//! Who we are: instance id, region, and what else the instance metadata service knows.

use crate::aws::response_limit::{Bound, BoundedClient};
use crate::aws::target_group::{OwnIds, TargetType};
use crate::machine::causes::causes;
use crate::settings::{Settings, is_instance_id};
use aws_config::imds;
use aws_config::imds::client::ImdsResponseRetryClassifier;
use aws_config::imds::client::error::ImdsError;
use aws_config::provider_config::ProviderConfig;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, SharedRetryClassifier,
};
use std::net::Ipv4Addr;
use std::time::Duration;

/// How long the metadata service may take to begin an answer. On a busy machine a second is not enough.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one query may take in all, with a second attempt.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes; the longest real ones are credentials.
const LONGEST_ANSWER: usize = 16 * 1024;
/// The longest lifecycle state, in characters; the longest real one is `Warmed:Terminating:Proceed`.
const LONGEST_STATE: usize = 64;

/// This instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `i-...`
    pub instance_id: String,
    /// Its addresses as a target of type `ip`.
    pub addresses: Vec<String>,
    /// The target lifecycle state in its Auto Scaling group; `None` outside of one.
    pub auto_scaling: Option<String>,
}

impl Identity {
    /// How a target group calls us: by instance id or by address.
    pub fn target_id(&self, kind: TargetType) -> &str {
        match kind {
            TargetType::Instance => &self.instance_id,
            TargetType::Ip => self.addresses.first().unwrap_or(&self.instance_id),
        }
    }

    /// How a target group and its leases name us.
    pub fn own_ids(&self, kind: TargetType) -> OwnIds<'_> {
        OwnIds { instance: &self.instance_id, target: self.target_id(kind) }
    }
}

/// Why this instance cannot be identified.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The metadata service does not answer as it should.
    #[error(
        "failed to get the instance id from the instance metadata service: {0}; on EC2 check that IMDS is enabled, \
         elsewhere set --instance-id"
    )]
    Metadata(String),
}

/// Asks the instance metadata service (IMDSv2). It is optional when `instance_id` is set.
///
/// # Errors
/// [`IdentityError::Metadata`] when the service does not answer, or answers with something else.
pub async fn identify(settings: &Settings) -> Result<Identity, IdentityError> {
    if std::env::var("AWS_EC2_METADATA_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true")) {
        // The SDK's own switch, which its metadata client leaves to the caller.
        let off = || IdentityError::Metadata("AWS_EC2_METADATA_DISABLED turns it off".to_owned());
        let instance_id = settings.instance_id.clone().ok_or_else(off)?;
        return Ok(Identity { instance_id, addresses: Vec::new(), auto_scaling: None });
    }
    identify_by(metadata(), settings).await
}

/// A client for the metadata service, at the address from the SDK's own settings.
pub fn metadata() -> imds::client::Builder {
    let inner: SharedHttpClient = aws_smithy_http_client::Builder::new().build_http();
    let bounded = BoundedClient { inner, bound: Bound(LONGEST_ANSWER) };
    imds::Client::builder()
        .configure(&ProviderConfig::without_region().with_http_client(bounded))
        .connect_timeout(METADATA_TIMEOUT)
        .read_timeout(METADATA_TIMEOUT)
        .operation_timeout(QUESTION_TIMEOUT)
        .max_attempts(4)
        .retry_classifier(SharedRetryClassifier::new(RetryTimeouts))
}

/// Retries time-outs. By default the SDK retries none, or takes every failure for one.
#[derive(Debug)]
struct RetryTimeouts;

impl ClassifyRetry for RetryTimeouts {
    fn name(&self) -> &'static str {
        "RetryTimeouts"
    }

    fn classify_retry(&self, asked: &InterceptorContext) -> RetryAction {
        let failure = asked.output_or_error().and_then(|answer| answer.err()?.as_connector_error());
        match failure {
            Some(failure) if failure.is_timeout() => RetryAction::server_error(),
            _ => ImdsResponseRetryClassifier::default().classify_retry(asked),
        }
    }
}

/// Asks this metadata service.
///
/// # Errors
/// As [`identify`].
pub async fn identify_by(
    metadata: imds::client::Builder,
    settings: &Settings,
) -> Result<Identity, IdentityError> {
    let client = metadata.build();
    if let Some(id) = &settings.instance_id {
        let ask = async |item| ask(&client, item).await.ok().flatten();
        let addresses = ask(&ADDRESS).await.into_iter().collect();
        let auto_scaling = ask(&AUTO_SCALING).await;
        return Ok(Identity { instance_id: id.clone(), addresses, auto_scaling });
    }
    // No answer does not mean "in no Auto Scaling group": only a 404 does.
    let ask = async |item| ask(&client, item).await.map_err(IdentityError::Metadata);
    let absent = || IdentityError::Metadata("it has no instance-id".to_owned());
    Ok(Identity {
        instance_id: ask(&INSTANCE_ID).await?.ok_or_else(absent)?,
        addresses: ask(&ADDRESS).await?.into_iter().collect(),
        auto_scaling: ask(&AUTO_SCALING).await?,
    })
}

/// A metadata item, and the check that its value is valid. The error page of a proxy, taken for the instance id, would
/// make the record on disk look like another instance's.
struct Item {
    path: &'static str,
    is_valid: fn(&str) -> bool,
}

const INSTANCE_ID: Item = Item { path: "instance-id", is_valid: is_instance_id };
const ADDRESS: Item = Item { path: "local-ipv4", is_valid: |text| text.parse::<Ipv4Addr>().is_ok() };
const AUTO_SCALING: Item = Item {
    path: "autoscaling/target-lifecycle-state",
    is_valid: |text| {
        let word = |c: char| c.is_ascii_alphanumeric() || c == ':';
        (1..=LONGEST_STATE).contains(&text.len()) && text.chars().all(word)
    },
};

/// One item; `None` when the service has none (404).
async fn ask(client: &imds::Client, item: &Item) -> Result<Option<String>, String> {
    match client.get(format!("/latest/meta-data/{}", item.path)).await {
        Ok(text) => {
            let text = text.as_ref().trim();
            let wrong = || format!("its answer is not a valid {}", item.path);
            (item.is_valid)(text).then(|| Some(text.to_owned())).ok_or_else(wrong)
        }
        Err(ImdsError::ErrorResponse(answer)) if answer.response().status().as_u16() == 404 => Ok(None),
        Err(error) => Err(causes(&error)),
    }
}
