//! The part of the ELBv2 Query API that an agent needs: form in, XML out, with AWS's error codes and messages.

mod answer;
mod auto_scaling;
mod groups;
mod listeners;
mod load_balancers;
mod pages;
mod query;
mod service;
mod tags;
mod targets;

use crate::faults::Fault;
use crate::load_balancer::{Call, LocalAlb};
use answer::{Answer, ApiError, lost, success};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, Response};
use query::Query;
pub(crate) use service::{AUTO_SCALING, ELASTIC_LOAD_BALANCING, Service};
use tokio::time::Instant;

/// AWS limits bodies too. The agent sends a few kilobytes at most.
const LONGEST_BODY: usize = 1024 * 1024;

/// The router of one API.
pub(crate) fn router(alb: LocalAlb, service: Service) -> Router {
    Router::new().fallback(call).with_state((alb, service))
}

async fn call(State((alb, service)): State<(LocalAlb, Service)>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let id = alb.request_id();
    let Ok(body) = to_bytes(body, LONGEST_BODY).await else {
        return ApiError::malformed("the request body is too long or incomplete")
            .response(service.namespace, &id);
    };
    // A request by GET has its parameters in the URL.
    let query = match parts.method {
        Method::GET => Query::parse(parts.uri.query().unwrap_or_default().as_bytes()),
        _ => Query::parse(&body),
    };
    let action = query.get("Action").unwrap_or_default().to_owned();
    let record = |answer: &str| alb.record(&parts.headers, &action, &query, answer);
    let (fault, latency) = alb.fate_of(&action);
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let answer = match check_request(service, &parts.headers, &query) {
        Err(error) => Err(error),
        Ok(()) => match fault {
            Some(Fault::Throttled) => Err(ApiError::sender("Throttling", "Rate exceeded")),
            Some(Fault::ExpiredToken) => Err(ApiError::expired_token()),
            Some(Fault::AccessDenied) => Err(ApiError::forbidden(
                "AccessDenied",
                "The caller is not authorized to perform this action",
            )),
            Some(Fault::ServerError) => Err(ApiError::internal()),
            Some(Fault::Refused) => {
                record("Refused");
                return lost();
            }
            Some(Fault::LandsLate(delay)) => {
                record("LandsLate");
                let alb = alb.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    // No client waits for this response.
                    let _ = alb.act(service, &action, &query);
                });
                return lost();
            }
            Some(Fault::LostAnswer) => {
                let _ = alb.act(service, &action, &query);
                record("LostAnswer");
                return lost();
            }
            None => alb.act(service, &action, &query),
        },
    };
    record(answer.as_ref().err().map_or("ok", ApiError::code));
    match answer {
        Ok(result) => success(service.namespace, &action, &result, &id),
        Err(error) => error.response(service.namespace, &id),
    }
}

/// What AWS checks before it looks at the action. Signatures are not verified here.
fn check_request(service: Service, headers: &HeaderMap, query: &Query) -> Result<(), ApiError> {
    // The second one is that of a presigned URL.
    if !headers.contains_key("authorization") && query.get("X-Amz-Signature").is_none() {
        return Err(ApiError::forbidden("MissingAuthenticationToken", "Missing Authentication Token"));
    }
    let action = query.get("Action").ok_or_else(|| ApiError::sender("MissingAction", "Missing Action"))?;
    match query.get("Version") {
        Some(version) if version == service.version => Ok(()),
        version => {
            let version = version.unwrap_or_default();
            Err(ApiError::sender(
                "InvalidAction",
                format!("Could not find operation {action} for version {version}"),
            ))
        }
    }
}

impl LocalAlb {
    /// Applies an action to the model.
    fn act(&self, service: Service, action: &str, query: &Query) -> Answer {
        if service == AUTO_SCALING {
            return auto_scaling::act(self, action, query);
        }
        let now = Instant::now();
        match action {
            "DescribeTargetHealth" => targets::describe_health(&mut self.model(), now, query),
            "RegisterTargets" => {
                let (answer, new) = targets::register(&mut self.model(), now, query);
                self.check_health_of(new);
                answer
            }
            "DeregisterTargets" => targets::deregister(&mut self.model(), now, query),
            "DescribeTargetGroups" => groups::describe(&self.model(), query),
            "DescribeTargetGroupAttributes" => groups::describe_attributes(&self.model(), query),
            "ModifyTargetGroupAttributes" => groups::modify_attributes(&mut self.model(), query),
            "DescribeLoadBalancers" => load_balancers::describe(&self.model(), query),
            "DescribeLoadBalancerAttributes" => load_balancers::describe_attributes(&self.model(), query),
            "DescribeListeners" => listeners::describe(&self.model(), query),
            "DescribeRules" => listeners::describe_rules(&self.model(), query),
            "DescribeTags" => tags::describe(&mut self.model(), now, query),
            "AddTags" => tags::add(&mut self.model(), now, query),
            "RemoveTags" => tags::remove(&mut self.model(), now, query),
            unknown => {
                let message = format!("Could not find operation {unknown} for version {}", service.version);
                Err(ApiError::sender("InvalidAction", message))
            }
        }
    }

    fn record(&self, headers: &HeaderMap, action: &str, query: &Query, answer: &str) {
        if !self.keeps_calls() {
            return;
        }
        let sdk_request = headers.get("amz-sdk-request");
        self.remember(Call {
            at: Instant::now(),
            action: action.to_owned(),
            parameters: query.pairs().to_vec(),
            answer: answer.to_owned(),
            sdk_request: sdk_request.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
        });
    }
}
