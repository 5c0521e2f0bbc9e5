//! Who we are: instance id, region, and what else the instance metadata service knows.

use crate::settings::Settings;
use crate::target_group::TargetType;
use aws_config::imds;
use aws_config::imds::client::error::ImdsError;
use std::time::Duration;

/// How long one question to the metadata service may take.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

/// This instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `i-...`
    pub instance_id: String,
    /// Its addresses as a target of type `ip`.
    pub addresses: Vec<String>,
    /// The life-cycle state that an Auto Scaling group wants; `None` outside of one.
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
}

/// Why we do not know who we are.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The metadata service does not answer.
    #[error(
        "failed to get the instance id from the instance metadata service: {0}; on EC2 check that IMDS is enabled, \
         elsewhere give --instance-id"
    )]
    Metadata(String),
}

/// Asks the instance metadata service (IMDSv2). With `instance_id` set its absence is no error.
///
/// # Errors
/// [`IdentityError::Metadata`] when the service does not answer.
pub async fn identify(settings: &Settings) -> Result<Identity, IdentityError> {
    if std::env::var("AWS_EC2_METADATA_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true")) {
        // The SDK's own switch; its metadata client leaves it to its callers.
        let off = || IdentityError::Metadata("AWS_EC2_METADATA_DISABLED turns it off".to_owned());
        let instance_id = settings.instance_id.clone().ok_or_else(off)?;
        return Ok(Identity { instance_id, addresses: Vec::new(), auto_scaling: None });
    }
    let client = imds::Client::builder()
        .connect_timeout(METADATA_TIMEOUT)
        .read_timeout(METADATA_TIMEOUT)
        .max_attempts(2)
        .build();
    if let Some(id) = &settings.instance_id {
        let ask = async |item| ask(&client, item).await.ok().flatten();
        let addresses = ask("local-ipv4").await.into_iter().collect();
        let auto_scaling = ask("autoscaling/target-lifecycle-state").await;
        return Ok(Identity { instance_id: id.clone(), addresses, auto_scaling });
    }
    // "No answer" must not be taken for "in no Auto Scaling group": only a 404 says that.
    let ask = async |item| ask(&client, item).await.map_err(IdentityError::Metadata);
    let absent = || IdentityError::Metadata("it has no instance-id".to_owned());
    Ok(Identity {
        instance_id: ask("instance-id").await?.ok_or_else(absent)?,
        addresses: ask("local-ipv4").await?.into_iter().collect(),
        auto_scaling: ask("autoscaling/target-lifecycle-state").await?,
    })
}

/// One item; `None` when the service says that there is none (404).
async fn ask(client: &imds::Client, item: &str) -> Result<Option<String>, String> {
    match client.get(format!("/latest/meta-data/{item}")).await {
        Ok(text) => Ok(Some(text.as_ref().trim().to_owned())),
        Err(ImdsError::ErrorResponse(answer)) if answer.response().status().as_u16() == 404 => Ok(None),
        Err(error) => Err(innermost(&error)),
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => innermost(cause),
        None => error.to_string(),
    }
}
