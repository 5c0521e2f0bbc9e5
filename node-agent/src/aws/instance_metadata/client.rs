//! The client for the instance metadata service (IMDSv2 only), and the items that it is asked for.

use crate::aws::response_limit::{Bound, BoundedClient};
use crate::machine::causes::causes;
use crate::settings::is_instance_id;
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

/// Whether the SDK's own switch is set, which its metadata client leaves to the caller.
pub(super) fn is_switched_off() -> bool {
    std::env::var("AWS_EC2_METADATA_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"))
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

/// A metadata item, and the check that its value is valid. The error page of a proxy, taken for the instance id, would
/// make the record on disk look like another instance's.
pub(super) struct Item {
    pub(super) path: &'static str,
    is_valid: fn(&str) -> bool,
}

pub(super) const INSTANCE_ID: Item = Item { path: "instance-id", is_valid: is_instance_id };
pub(super) const ADDRESS: Item =
    Item { path: "local-ipv4", is_valid: |text| text.parse::<Ipv4Addr>().is_ok() };
pub(super) const AUTO_SCALING: Item = Item {
    path: "autoscaling/target-lifecycle-state",
    is_valid: |text| {
        let word = |c: char| c.is_ascii_alphanumeric() || c == ':';
        (1..=LONGEST_STATE).contains(&text.len()) && text.chars().all(word)
    },
};

/// One item; `None` when the service has none (404).
pub(super) async fn ask(client: &imds::Client, item: &Item) -> Result<Option<String>, String> {
    let Some(text) = text(client, item.path).await? else { return Ok(None) };
    let text = text.trim();
    let wrong = || format!("its answer is not a valid {}", item.path);
    (item.is_valid)(text).then(|| Some(text.to_owned())).ok_or_else(wrong)
}

/// The text at a path; `None` when the service has none (404).
pub(super) async fn text(client: &imds::Client, path: &str) -> Result<Option<String>, String> {
    match client.get(format!("/latest/meta-data/{path}")).await {
        Ok(text) => Ok(Some(text.as_ref().to_owned())),
        Err(ImdsError::ErrorResponse(answer)) if answer.response().status().as_u16() == 404 => Ok(None),
        Err(error) => Err(causes(&error)),
    }
}
