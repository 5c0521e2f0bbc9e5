//! Who we are: instance id, addresses, and what else the instance metadata service knows.

mod addresses;
mod client;

use crate::aws::target_group::{OwnIds, TargetType};
use crate::settings::Settings;
use aws_config::imds;
use client::{AUTO_SCALING, INSTANCE_ID, ask, is_switched_off};
use std::net::IpAddr;

pub use addresses::Addresses;
pub use client::metadata;

/// This instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `i-...`
    pub instance_id: String,
    /// Its addresses as a target of type `ip`: of all its network interfaces, secondary and IPv6 addresses, too.
    pub addresses: Vec<IpAddr>,
    /// The target lifecycle state in its Auto Scaling group; `None` outside of one.
    pub auto_scaling: Option<String>,
}

impl Identity {
    /// How a target group and its leases name us.
    pub fn own_ids(&self, kind: TargetType) -> OwnIds<'_> {
        let addresses = match kind {
            TargetType::Instance => &[],
            TargetType::Ip => self.addresses.as_slice(),
        };
        OwnIds { instance: &self.instance_id, addresses }
    }
}

/// Why this instance cannot be identified.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The metadata service does not answer as it should.
    #[error(
        "failed to get the instance id from the instance metadata service: {0}; on EC2 check that IMDS is enabled, \
         and in a container that its hop limit is at least 2; elsewhere set --instance-id"
    )]
    Metadata(String),
}

/// Asks the instance metadata service (IMDSv2). It is optional when `instance_id` is set.
///
/// # Errors
/// [`IdentityError::Metadata`] when the service does not answer, or answers with something else.
pub async fn identify(settings: &Settings) -> Result<Identity, IdentityError> {
    if is_switched_off() {
        let off = || IdentityError::Metadata("AWS_EC2_METADATA_DISABLED turns it off".to_owned());
        let instance_id = settings.instance_id.clone().ok_or_else(off)?;
        return Ok(Identity { instance_id, addresses: Vec::new(), auto_scaling: None });
    }
    identify_by(metadata(), settings).await
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
        let addresses = addresses::read(&client).await.unwrap_or_default();
        let auto_scaling = ask(&client, &AUTO_SCALING).await.ok().flatten();
        return Ok(Identity { instance_id: id.clone(), addresses, auto_scaling });
    }
    // No answer does not mean "in no Auto Scaling group": only a 404 does.
    let ask = async |item| ask(&client, item).await.map_err(IdentityError::Metadata);
    let absent = || IdentityError::Metadata("it has no instance-id".to_owned());
    Ok(Identity {
        instance_id: ask(&INSTANCE_ID).await?.ok_or_else(absent)?,
        addresses: addresses::read(&client).await.map_err(IdentityError::Metadata)?,
        auto_scaling: ask(&AUTO_SCALING).await?,
    })
}

/// The instance ID that the metadata service reports, whatever the settings say.
pub(crate) async fn reported_id() -> Option<String> {
    identify(&Settings::default()).await.ok().map(|identity| identity.instance_id)
}
