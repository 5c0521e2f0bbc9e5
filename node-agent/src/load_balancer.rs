//! The ELBv2 API as this program uses it: ten calls, our own types, and errors that say whether a change may
//! have been applied.
//!
//! The SDK's retries are off. A hidden retry of AddTags, RemoveTags or DeregisterTargets could land after a later
//! write (docs/lease.md); retrying is the caller's business, who knows the deadline.

use crate::bounded::Bound;
use crate::target_group::{
    Attributes, HealthCheck, LONGEST_CHECK, Target, TargetGroup, TargetHealth, TargetState, TargetType,
};
use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_elasticloadbalancingv2::operation::RequestId;
use aws_sdk_elasticloadbalancingv2::types::{
    ProtocolEnum, Tag, TargetDescription, TargetHealthDescription, TargetHealthStateEnum, TargetTypeEnum,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// No answer is longer, in bytes: those that list most, a page of 400 target groups or a group of a thousand targets,
/// stay below a megabyte.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// No list of target groups has more pages: that would be 40,000 groups, and an account may have 3,000 in a region.
const MOST_PAGES: usize = 100;

/// What an answer says in words is cut off here, in characters.
const LONGEST_TEXT: usize = 1000;

/// A client for one region.
#[derive(Debug, Clone)]
pub struct LoadBalancer {
    client: Client,
}

/// How a call failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("failed to call {call}: {kind}")]
pub struct CallError {
    /// The API action.
    pub call: &'static str,
    /// What happened.
    pub kind: CallErrorKind,
}

/// What happened to a call.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallErrorKind {
    /// Refused for its rate: not applied, worth another try.
    #[error("the API is throttling this account ({0})")]
    Throttled(String),
    /// Refused with a 4xx: not applied.
    #[error("{code}: {message}")]
    Rejected {
        /// The error code.
        code: String,
        /// The message that came with it, and the request id.
        message: String,
    },
    /// No answer, or a 5xx: it may have been applied, or may be yet.
    #[error("{0}")]
    Unknown(String),
}

impl CallError {
    /// Whether the change asked for may have been applied.
    pub fn may_have_been_applied(&self) -> bool {
        matches!(self.kind, CallErrorKind::Unknown(_))
    }

    /// The target group does not exist (any more).
    pub fn is_group_gone(&self) -> bool {
        self.has_code(&["TargetGroupNotFound"])
    }

    /// The group has its 50 tags.
    pub fn is_too_many_tags(&self) -> bool {
        self.has_code(&["TooManyTags"])
    }

    /// Refused for its rate.
    pub fn is_throttled(&self) -> bool {
        matches!(self.kind, CallErrorKind::Throttled(_))
    }

    /// Trying again cannot help: the request or the permissions are wrong. Expired credentials are not in here,
    /// new ones come by themselves.
    pub fn is_final(&self) -> bool {
        let passing = ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidTarget"];
        matches!(self.kind, CallErrorKind::Rejected { .. }) && !self.has_code(&passing)
    }

    fn has_code(&self, codes: &[&str]) -> bool {
        matches!(&self.kind, CallErrorKind::Rejected { code, .. } if codes.contains(&code.as_str()))
    }

    fn is_of_auto_scaling(&self) -> bool {
        self.call.contains("AutoScaling") || self.call.ends_with("Standby")
    }

    /// What a person can do about it, where that is known.
    pub fn advice(&self) -> &'static str {
        match &self.kind {
            CallErrorKind::Throttled(_) => "wait, or find out who else calls the API this often",
            CallErrorKind::Unknown(_) if self.is_of_auto_scaling() => {
                "check the network, the region and AWS_ENDPOINT_URL_AUTO_SCALING"
            }
            CallErrorKind::Unknown(_) => {
                "check the network, the region and AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2"
            }
            CallErrorKind::Rejected { code, .. } => match code.as_str() {
                "ValidationError" | "ResourceContention" if self.is_of_auto_scaling() => {
                    "look at the group's minimum and its suspended processes: `aws autoscaling describe-auto-scaling-groups`"
                }
                "TargetGroupNotFound" | "ValidationError" => {
                    "check the ARN or name, the region and the account: `aws elbv2 describe-target-groups` lists them"
                }
                "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
                    "allow this call in the instance's role (docs/deploy.md has the policy)"
                }
                _ => "look the code up in the ELBv2 API reference",
            },
        }
    }
}

type Answer<T> = Result<T, CallError>;

pub(crate) fn failed<E, R>(call: &'static str) -> impl FnOnce(SdkError<E, R>) -> CallError
where
    E: ProvideErrorMetadata + RequestId + std::error::Error + 'static,
    R: std::fmt::Debug,
    SdkError<E, R>: HttpStatus,
{
    move |error| {
        let kind = match (&error, error.status()) {
            // With or without a body that says so.
            (SdkError::ServiceError(_), Some(429)) => CallErrorKind::Throttled("HTTP 429".to_owned()),
            // A 5xx says nothing about whether the change was made.
            (SdkError::ServiceError(service), Some(400..=499)) => {
                let code = printable(service.err().code().unwrap_or("no error code"));
                let id = service.err().request_id().map(|id| format!(" (request {id})")).unwrap_or_default();
                let message = printable(&format!("{}{id}", service.err().message().unwrap_or_default()));
                match code.as_str() {
                    "Throttling"
                    | "ThrottlingException"
                    | "RequestLimitExceeded"
                    | "TooManyRequestsException" => CallErrorKind::Throttled(code),
                    _ => CallErrorKind::Rejected { code, message },
                }
            }
            (SdkError::ServiceError(service), status) => {
                let status = status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
                let code = printable(service.err().code().unwrap_or("a server error"));
                CallErrorKind::Unknown(format!("{code}{status}"))
            }
            _ => CallErrorKind::Unknown(printable(&innermost(&error))),
        };
        CallError { call, kind }
    }
}

/// Text from elsewhere, for a terminal and a log: in one line, without what a terminal would act on, and not endless.
fn printable(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The answer came, and is not one to this question.
fn odd(call: &'static str, what: &str) -> CallError {
    CallError { call, kind: CallErrorKind::Unknown(format!("the answer makes no sense: {what}")) }
}

/// The causes of an error in one line, without the SDK's debug output.
fn innermost<E: std::error::Error>(error: &E) -> String {
    let mut causes: Vec<String> = Vec::new();
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if causes.last().is_none_or(|last| !last.contains(&text)) {
            causes.push(text);
        }
        next = cause.source();
    }
    causes.join(": ")
}

/// The HTTP status of an answer that came.
pub(crate) trait HttpStatus {
    fn status(&self) -> Option<u16>;
}

impl<E> HttpStatus for SdkError<E, aws_smithy_runtime_api::client::orchestrator::HttpResponse> {
    fn status(&self) -> Option<u16> {
        self.raw_response().map(|response| response.status().as_u16())
    }
}

impl LoadBalancer {
    /// Wraps a client whose retries are off.
    #[expect(clippy::needless_pass_by_value, reason = "its owner has no other use for it")]
    pub fn new(client: Client) -> LoadBalancer {
        let config = client.config().to_builder().interceptor(Bound(LONGEST_ANSWER)).build();
        LoadBalancer { client: Client::from_conf(config) }
    }

    /// DescribeTargetGroups: the named ones by ARN or name; all of the account and region when none is named.
    /// Kinds that this program cannot drain come back as [`Unsupported`].
    pub async fn target_groups(&self, named: &[String]) -> Answer<Vec<Result<TargetGroup, Unsupported>>> {
        let (arns, names): (Vec<_>, Vec<_>) =
            named.iter().cloned().partition(|name| name.starts_with("arn:"));
        let mut groups = Vec::new();
        // The API takes ARNs or names, not both at a time.
        for (arns, names) in [(arns, Vec::new()), (Vec::new(), names)] {
            if arns.is_empty() && names.is_empty() && !named.is_empty() {
                continue;
            }
            let mut marker = None;
            for page in 1.. {
                if page > MOST_PAGES {
                    return Err(odd("DescribeTargetGroups", &format!("more than {MOST_PAGES} pages")));
                }
                let request = self.client.describe_target_groups().set_marker(marker);
                let request = request.set_target_group_arns((!arns.is_empty()).then(|| arns.clone()));
                let request = request.set_names((!names.is_empty()).then(|| names.clone()));
                let answer = request.send().await.map_err(failed("DescribeTargetGroups"))?;
                groups.extend(answer.target_groups().iter().map(target_group));
                marker = answer.next_marker().map(ToOwned::to_owned);
                if marker.is_none() {
                    break;
                }
            }
            if named.is_empty() {
                break;
            }
        }
        Ok(groups)
    }

    /// DescribeTargetGroupAttributes.
    pub async fn attributes(&self, arn: &str) -> Answer<Attributes> {
        let request = self.client.describe_target_group_attributes().target_group_arn(arn);
        let answer = request.send().await.map_err(failed("DescribeTargetGroupAttributes"))?;
        let pairs = answer.attributes().iter();
        let pairs = pairs.filter_map(|pair| Some((pair.key()?.to_owned(), pair.value()?.to_owned())));
        Ok(Attributes::from_pairs(&pairs.collect()))
    }

    /// DescribeTargetHealth of the whole group: one call shows our own targets and everybody else's.
    pub async fn target_health(&self, arn: &str) -> Answer<Vec<TargetState>> {
        self.health(arn, &[]).await
    }

    /// DescribeTargetHealth of these pairs only; those that are not registered come back as such, and those that the
    /// answer says nothing of as unknown.
    pub async fn target_health_of(&self, arn: &str, pairs: &[Target]) -> Answer<Vec<TargetState>> {
        self.health(arn, pairs).await
    }

    async fn health(&self, arn: &str, pairs: &[Target]) -> Answer<Vec<TargetState>> {
        let request = self.client.describe_target_health().target_group_arn(arn);
        let request =
            request.set_targets((!pairs.is_empty()).then(|| pairs.iter().map(description).collect()));
        let answer = request.send().await.map_err(failed("DescribeTargetHealth"))?;
        let states: Option<Vec<_>> = answer.target_health_descriptions().iter().map(target_state).collect();
        // Leaving it out would make the fleet smaller than it is.
        let mut states = states.ok_or_else(|| odd("DescribeTargetHealth", "a target without its id"))?;
        // Silence about a pair is no proof that it has gone.
        let left_out = pairs.iter().filter(|pair| !states.iter().any(|state| state.target == **pair));
        let left_out: Vec<_> = left_out.cloned().map(unknown).collect();
        states.extend(left_out);
        Ok(states)
    }

    /// DescribeTags: the tags of each group, by ARN.
    pub async fn tags(&self, arns: &[String]) -> Answer<BTreeMap<String, BTreeMap<String, String>>> {
        let mut all = BTreeMap::new();
        // The API takes up to 20 ARNs per call.
        for some in arns.chunks(20) {
            let request = self.client.describe_tags().set_resource_arns(Some(some.to_vec()));
            let answer = request.send().await.map_err(failed("DescribeTags"))?;
            for description in answer.tag_descriptions() {
                let pair = |tag: &Tag| Some((named(tag.key())?, tag.value().unwrap_or_default().to_owned()));
                let tags: Option<_> = description.tags().iter().map(pair).collect();
                let tags = tags.ok_or_else(|| odd("DescribeTags", "a tag without its key"))?;
                all.insert(description.resource_arn().unwrap_or_default().to_owned(), tags);
            }
            // A group without tags is in the answer, too. One that is left out must not pass for one without leases.
            if let Some(arn) = some.iter().find(|arn| !all.contains_key(*arn)) {
                return Err(odd("DescribeTags", &format!("it says nothing of {arn}")));
            }
        }
        Ok(all)
    }

    /// AddTags with one tag, which overwrites what was there.
    pub async fn add_tag(&self, arn: &str, key: &str, value: &str) -> Answer<()> {
        let tag = Tag::builder().key(key).value(value).build();
        let request = self.client.add_tags().resource_arns(arn).tags(tag);
        request.send().await.map(drop).map_err(failed("AddTags"))
    }

    /// RemoveTags with one key.
    pub async fn remove_tag(&self, arn: &str, key: &str) -> Answer<()> {
        let request = self.client.remove_tags().resource_arns(arn).tag_keys(key);
        request.send().await.map(drop).map_err(failed("RemoveTags"))
    }

    /// DeregisterTargets with exactly these pairs.
    pub async fn deregister(&self, arn: &str, pairs: &[Target]) -> Answer<()> {
        let request = self.client.deregister_targets().target_group_arn(arn);
        let request = request.set_targets(Some(pairs.iter().map(description).collect()));
        request.send().await.map(drop).map_err(failed("DeregisterTargets"))
    }

    /// RegisterTargets with exactly these pairs.
    pub async fn register(&self, arn: &str, pairs: &[Target]) -> Answer<()> {
        let request = self.client.register_targets().target_group_arn(arn);
        let request = request.set_targets(Some(pairs.iter().map(description).collect()));
        request.send().await.map(drop).map_err(failed("RegisterTargets"))
    }
}

/// A target group of a kind that this program does not take nodes out of.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "the target group {name} ({arn}) {why}; node-agent works with groups of type instance or ip behind an Application Load Balancer"
)]
pub struct Unsupported {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// What about it.
    pub why: String,
}

fn target_group(
    group: &aws_sdk_elasticloadbalancingv2::types::TargetGroup,
) -> Result<TargetGroup, Unsupported> {
    let arn = group.target_group_arn().unwrap_or_default().to_owned();
    let name = group.target_group_name().unwrap_or_default().to_owned();
    let unsupported =
        |why: String| Unsupported { arn: arn.clone(), name: name.clone(), why: printable(&why) };
    if arn.is_empty() || name.is_empty() {
        return Err(unsupported("lacks its ARN or its name in the answer of the API".to_owned()));
    }
    let target_type = match group.target_type() {
        Some(TargetTypeEnum::Instance) => TargetType::Instance,
        Some(TargetTypeEnum::Ip) => TargetType::Ip,
        other => {
            let other = other.map_or("no type", |kind| kind.as_str());
            return Err(unsupported(format!("has targets of type {other}")));
        }
    };
    if !matches!(group.protocol(), Some(ProtocolEnum::Http | ProtocolEnum::Https)) {
        let protocol = group.protocol().map_or("no protocol", |protocol| protocol.as_str());
        return Err(unsupported(format!("speaks {protocol}")));
    }
    if group.protocol_version() == Some("GRPC") {
        return Err(unsupported("speaks gRPC, whose health checks node-agent cannot make".to_owned()));
    }
    let matcher = group.matcher().and_then(|matcher| matcher.http_code()).unwrap_or("200");
    let seconds = group.health_check_timeout_seconds().and_then(|seconds| u64::try_from(seconds).ok());
    let health_check = HealthCheck {
        https: group.health_check_protocol() == Some(&ProtocolEnum::Https),
        port: group.health_check_port().and_then(|port| port.parse().ok()),
        // What does not begin with a slash would end the host's name somewhere else.
        path: group.health_check_path().filter(|path| path.starts_with('/')).unwrap_or("/").to_owned(),
        timeout: Duration::from_secs(seconds.unwrap_or(5)).min(LONGEST_CHECK),
        matcher: matcher.to_owned(),
    };
    Ok(TargetGroup { arn, name, target_type, health_check })
}

/// `None`: it does not say of which target.
fn target_state(description: &TargetHealthDescription) -> Option<TargetState> {
    let target = description.target()?;
    let health = description.target_health();
    let port = target.port().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let told = health.and_then(|health| health.state());
    let state = match told.filter(|_| port.is_some()) {
        Some(TargetHealthStateEnum::Initial) => TargetHealth::Initial,
        Some(TargetHealthStateEnum::Healthy) => TargetHealth::Healthy,
        Some(TargetHealthStateEnum::Unhealthy) => TargetHealth::Unhealthy,
        Some(TargetHealthStateEnum::Unused) => TargetHealth::Unused,
        Some(TargetHealthStateEnum::Draining) => TargetHealth::Draining,
        Some(TargetHealthStateEnum::Unavailable) => TargetHealth::Unavailable,
        _ => TargetHealth::Unknown,
    };
    let reason = health.and_then(|health| health.reason()).map_or("", |reason| reason.as_str());
    Some(TargetState {
        target: Target { id: named(target.id())?, port: port.unwrap_or(0) },
        zone: target.availability_zone().map(printable),
        health: state,
        reason: printable(reason),
    })
}

/// A name that is there; the SDK puts an empty one in the place of one that is missing.
fn named(name: Option<&str>) -> Option<String> {
    name.filter(|name| !name.is_empty()).map(ToOwned::to_owned)
}

fn unknown(target: Target) -> TargetState {
    TargetState { target, zone: None, health: TargetHealth::Unknown, reason: String::new() }
}

fn description(target: &Target) -> TargetDescription {
    TargetDescription::builder().id(&target.id).port(target.port.into()).build()
}
