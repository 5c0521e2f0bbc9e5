//! The instance metadata service of one simulated node. IMDSv2 only.

use crate::load_balancer::LocalAlb;
use crate::settings::Instance;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, put};
use rand::RngExt;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The role of the node. Its credentials are not real.
const ROLE: &str = "node-agent";
/// The lifetime of the credentials.
const CREDENTIALS_LAST: Duration = Duration::from_secs(6 * 3600);
/// The MAC address of the network interface, which has all addresses.
const MAC: &str = "02:00:00:00:00:01";
/// Maximum lifetime of a session token, in seconds.
const LONGEST_TTL: u64 = 21_600;

#[derive(Clone)]
struct Metadata {
    alb: LocalAlb,
    instance_id: Arc<str>,
    /// Session tokens and when they expire.
    tokens: Arc<Mutex<BTreeMap<String, Instant>>>,
}

type Answer = Result<String, StatusCode>;

pub(crate) fn router(alb: LocalAlb, instance_id: &str) -> Router {
    let metadata = Metadata { alb, instance_id: instance_id.into(), tokens: Arc::default() };
    Router::new()
        .route("/latest/api/token", put(token))
        .route("/latest/meta-data/{*item}", get(item))
        .route("/latest/dynamic/instance-identity/document", get(document))
        .fallback(async |method: axum::http::Method| {
            // IMDS answers 403 to a PUT on any path but the one for tokens.
            if method == axum::http::Method::PUT { StatusCode::FORBIDDEN } else { StatusCode::NOT_FOUND }
        })
        .with_state(metadata)
}

async fn token(
    State(metadata): State<Metadata>,
    headers: HeaderMap,
) -> Result<(HeaderMap, String), StatusCode> {
    let ttl = headers.get("x-aws-ec2-metadata-token-ttl-seconds").and_then(|value| value.to_str().ok());
    let seconds = ttl.and_then(|text| text.parse::<u64>().ok()).filter(|s| (1..=LONGEST_TTL).contains(s));
    let seconds = seconds.ok_or(StatusCode::BAD_REQUEST)?;
    let token = format!("{:032x}", rand::rng().random::<u128>());
    let mut tokens = metadata.tokens.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    tokens.retain(|_, expires| *expires > now);
    tokens.insert(token.clone(), now + Duration::from_secs(seconds));
    let mut answer = HeaderMap::new();
    if let Ok(value) = seconds.to_string().parse() {
        answer.insert("x-aws-ec2-metadata-token-ttl-seconds", value);
    }
    Ok((answer, token))
}

async fn item(State(metadata): State<Metadata>, headers: HeaderMap, Path(item): Path<String>) -> Answer {
    let instance = metadata.authorised(&headers)?;
    Ok(match item.as_str() {
        "instance-id" => instance.id,
        "local-ipv4" => instance.address.to_string(),
        "placement/availability-zone" => instance.zone,
        "placement/region" => metadata.alb.model().settings.region.clone(),
        "iam/security-credentials" | "iam/security-credentials/" => ROLE.to_owned(),
        "autoscaling/target-lifecycle-state" => {
            metadata.alb.auto_scaling_state(&instance.id).ok_or(StatusCode::NOT_FOUND)?
        }
        "network/interfaces/macs" | "network/interfaces/macs/" => format!("{MAC}/"),
        of_interface if of_interface.starts_with("network/interfaces/macs/") => {
            let addresses = metadata.addresses(&instance);
            match of_interface.strip_prefix(&format!("network/interfaces/macs/{MAC}/")) {
                Some("local-ipv4s") => lines(addresses.iter().filter(|address| address.is_ipv4()))?,
                Some("ipv6s") => lines(addresses.iter().filter(|address| address.is_ipv6()))?,
                _ => return Err(StatusCode::NOT_FOUND),
            }
        }
        role if role.strip_prefix("iam/security-credentials/") == Some(ROLE) => credentials(),
        _ => return Err(StatusCode::NOT_FOUND),
    })
}

/// One address a line. Without any, the item does not exist.
fn lines<'a>(addresses: impl Iterator<Item = &'a IpAddr>) -> Answer {
    let lines: Vec<_> = addresses.map(ToString::to_string).collect();
    if lines.is_empty() { Err(StatusCode::NOT_FOUND) } else { Ok(lines.join("\n")) }
}

fn credentials() -> String {
    let now = jiff::Timestamp::now();
    let expires = now.checked_add(CREDENTIALS_LAST).unwrap_or(now);
    let date = |at: jiff::Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!({
        "Code": "Success",
        "LastUpdated": date(now),
        "Type": "AWS-HMAC",
        "AccessKeyId": "ASIALOCALALB",
        "SecretAccessKey": "local",
        "Token": "local",
        "Expiration": date(expires),
    })
    .to_string()
}

async fn document(State(metadata): State<Metadata>, headers: HeaderMap) -> Answer {
    let instance = metadata.authorised(&headers)?;
    let (region, account) = {
        let model = metadata.alb.model();
        (model.settings.region.clone(), model.settings.account.clone())
    };
    Ok(json!({
        "accountId": account,
        "availabilityZone": instance.zone,
        "instanceId": instance.id,
        "privateIp": instance.address.to_string(),
        "region": region,
    })
    .to_string())
}

impl Metadata {
    /// The addresses of an instance, the first one first.
    fn addresses(&self, instance: &Instance) -> Vec<IpAddr> {
        let model = self.alb.model();
        let more = model.more_addresses.get(&instance.id).into_iter().flatten().copied();
        std::iter::once(instance.address).chain(more).collect()
    }

    fn authorised(&self, headers: &HeaderMap) -> Result<Instance, StatusCode> {
        let token = headers.get("x-aws-ec2-metadata-token").and_then(|value| value.to_str().ok());
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let valid =
            token.and_then(|token| tokens.get(token)).is_some_and(|expires| *expires > Instant::now());
        if !valid {
            return Err(StatusCode::UNAUTHORIZED);
        }
        self.alb.model().instances.get(&*self.instance_id).cloned().ok_or(StatusCode::NOT_FOUND)
    }
}
