//! Finds the identity and the region of this node, and puts the driver together.

use crate::agent::failure::Complaint;
use crate::agent::signals;
use crate::aws::auto_scaling::AutoScalingGroups;
use crate::aws::instance_metadata::{Addresses, Identity, identify};
use crate::aws::load_balancer::LoadBalancer;
use crate::exit;
use crate::machine::causes::causes;
use crate::machine::linux::Linux;
use crate::machine::local_service::HttpService;
use crate::machine::ports::{Machine, Service, Stop};
use crate::maintenance::context::Driver;
use crate::maintenance::progress::Progress;
use crate::record::Operation;
use crate::record::journal::Journal;
use crate::record::mailbox::Requests;
use crate::settings::Settings;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_elasticloadbalancingv2::Client;
use std::sync::Arc;
use tokio::time::Instant;

/// This node and its client for the API.
pub(crate) struct Node {
    pub(crate) identity: Identity,
    pub(crate) region: String,
    pub(crate) load_balancer: LoadBalancer,
}

fn usage(error: impl Into<anyhow::Error>) -> Complaint {
    Complaint::new(exit::USAGE, error)
}

/// What must be known before a maintenance starts: region, credentials, instance ID.
pub(crate) async fn node(settings: &Settings) -> Result<Node, Complaint> {
    let (load_balancer, region) = reach(settings).await?;
    let identity = identify(settings).await.map_err(usage)?;
    Ok(Node { identity, region, load_balancer })
}

/// A client for the API, and its region. Works on machines that are not nodes.
pub(crate) async fn reach(settings: &Settings) -> Result<(LoadBalancer, String), Complaint> {
    if !crate::aws::config::is_a_stand_in() {
        settings.check_for_aws().map_err(usage)?;
    }
    let config = aws(settings, settings.region.clone()).await;
    let Some(region) = config.region().map(|region| region.as_ref().to_owned()) else {
        return Err(usage(anyhow::anyhow!(
            "failed to find the AWS region: it is not in AWS_REGION, the profile or the instance metadata service; set \
             AWS_REGION or --region, and in a container check that the hop limit of IMDS is at least 2"
        )));
    };
    if let Some(provider) = config.credentials_provider() {
        provider.provide_credentials().await.map_err(|error| {
            // The text of the outermost error has no cause.
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), causes);
            let cause = cause.trim_end_matches(". Attempted:");
            usage(anyhow::anyhow!("failed to get AWS credentials: {cause}; {}", credentials_advice()))
        })?;
    }
    Ok((LoadBalancer::new(Client::new(&config)), region))
}

/// What to do without credentials. A profile that was chosen is what is wrong: on a laptop, its session has usually ended.
fn credentials_advice() -> String {
    match std::env::var("AWS_PROFILE").ok().filter(|profile| !profile.is_empty()) {
        Some(profile) => {
            let named = shlex::try_quote(&profile).unwrap_or_default();
            format!(
                "check the profile {profile}: if it uses IAM Identity Center, run `aws sso login --profile {named}`; if it was \
                 made by `aws login`, run `aws login --profile {named}`; else `aws sts get-caller-identity --profile {named}` \
                 shows whether it works"
            )
        }
        None => "attach an instance profile to this instance, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY; in a container, check that the hop limit of IMDS is at least 2"
            .to_owned(),
    }
}

/// A client that needs no answer from anything: right after a boot, the metadata service, DNS and credentials may be late.
/// The region is on record.
pub(crate) async fn load_balancer(settings: &Settings, region: &str) -> LoadBalancer {
    LoadBalancer::new(Client::new(&aws(settings, Some(region.to_owned())).await))
}

async fn aws(settings: &Settings, region: Option<String>) -> aws_config::SdkConfig {
    crate::aws::config::config(region, settings.api_timeout()).await
}

/// A client for the Auto Scaling API, created when it is first needed.
pub(crate) fn auto_scaling(settings: &Settings, region: &str) -> AutoScalingGroups {
    let (settings, region) = (settings.clone(), region.to_owned());
    AutoScalingGroups::when_needed(move || {
        let (settings, region) = (settings.clone(), region.clone());
        async move { aws_sdk_autoscaling::Client::new(&aws(&settings, Some(region)).await) }
    })
}

/// The machine as the settings describe it.
pub(crate) fn machine(settings: &Settings) -> Arc<dyn Machine> {
    Arc::new(Linux {
        boot_id_path: settings.boot_id_path.clone(),
        reboot_command: settings.reboot_command.clone(),
        reboot_required_command: settings.reboot_required_command.clone(),
    })
}

/// The service on this node.
pub(crate) fn service() -> Result<Arc<dyn Service>, Complaint> {
    let service = HttpService::new()
        .map_err(|error| usage(anyhow::Error::new(error).context("failed to create an HTTP client")))?;
    Ok(Arc::new(service))
}

/// A driver for this operation. Signals stop it.
pub(crate) fn driver(
    journal: Journal,
    operation: Operation,
    identity: Identity,
    load_balancer: LoadBalancer,
    progress: &Progress,
) -> Result<Driver, Complaint> {
    let stop = signals::listen()?.stop;
    Requests::beside(&operation.request.settings.state_dir).forget_stop();
    driver_until(stop, journal, operation, identity, load_balancer, progress)
}

/// A driver for this operation. The caller stops it.
pub(crate) fn driver_until(
    stop: Stop,
    journal: Journal,
    operation: Operation,
    identity: Identity,
    load_balancer: LoadBalancer,
    progress: &Progress,
) -> Result<Driver, Complaint> {
    let requests = Requests::beside(&operation.request.settings.state_dir);
    Ok(Driver {
        auto_scaling: auto_scaling(&operation.request.settings, &journal.record.region),
        journal,
        machine: machine(&operation.request.settings),
        operation,
        identity,
        addresses: Addresses::from_environment(),
        load_balancer,
        service: service()?,
        stop,
        progress: progress.clone(),
        random: rand::make_rng(),
        lease_seen: Instant::now(),
        out_seen: None,
        registered_told: None,
        failing: None,
        validated: None,
        requests: Some(requests),
        stays: false,
        turn_back: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::mailbox::Ask;
    use crate::record::{Request, TurnedBack};

    #[tokio::test]
    async fn a_stop_requested_while_the_driver_is_put_together_is_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { state_dir: dir.path().to_owned(), ..Settings::default() };
        let journal = Journal::open(dir.path()).unwrap().for_instance("i-0a000000", "us-east-1").unwrap();
        let now = machine(&settings).now().unwrap();
        let operation = Operation::new(Request::new("one".to_owned(), settings.clone()), now);
        let identity =
            Identity { instance_id: "i-0a000000".to_owned(), addresses: Vec::new(), auto_scaling: None };
        let load_balancer = load_balancer(&settings, "us-east-1").await;
        Requests::beside(dir.path()).leave(&Ask::Stop).unwrap();
        let mut driver =
            driver_until(Stop::new(), journal, operation, identity, load_balancer, &Progress::hidden())
                .unwrap();
        driver.take_requests().unwrap();
        assert_eq!(driver.turn_back, Some(TurnedBack::Stopped));
    }
}
