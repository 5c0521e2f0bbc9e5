//! The driver's way to the API: every call is a point, and at every call the rules are looked at.

use crate::points::{Point, Points};
use aws_sdk_elasticloadbalancingv2::config::SharedHttpClient;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use local_alb::in_process::InProcess;
use local_alb::{LocalAlb, TargetHealth};
use node_agent::lease::{LeaseState, Reading};
use node_agent::record::journal;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A request on the wire outlives its sender by this.
const ON_THE_WIRE: Duration = Duration::from_secs(5);

/// One node's way to the API.
#[derive(Clone)]
pub struct Wire {
    pub points: Points,
    pub alb: LocalAlb,
    pub instance: String,
    pub target: String,
    pub state_dir: PathBuf,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl Wire {
    pub fn client(self) -> SharedHttpClient {
        SharedHttpClient::new(self)
    }

    /// What must hold when a call goes out.
    fn look(&self, action: &str, parameters: &BTreeMap<String, String>) {
        let parameter = |name: &str| parameters.get(name).map(String::as_str).unwrap_or_default();
        let record = journal::read(&self.state_dir).ok().flatten();
        let operation = record.and_then(|record| record.operation);
        let own_tag = format!("node-agent/lease/{}", self.instance);
        match action {
            "DeregisterTargets" => {
                let arn = parameter("TargetGroupArn");
                if parameter("Targets.member.1.Port").is_empty() {
                    self.points.wrong("DeregisterTargets without a port".to_owned());
                }
                let on_record = operation.is_some_and(|operation| {
                    let group = operation.groups.iter().find(|group| group.arn == arn);
                    operation.left.is_some()
                        && group.is_some_and(|group| !group.deregisters_in_doubt.is_empty())
                });
                if !on_record {
                    self.points.wrong("DeregisterTargets that is not on record".to_owned());
                }
                let held =
                    self.alb.tags(arn).get(&own_tag).is_some_and(|tag| Reading::parse(tag).takes_slot());
                if !held && !self.points.is_meddled() {
                    self.points.wrong("DeregisterTargets without a lease".to_owned());
                }
            }
            "AddTags" => {
                if !matches!(Reading::parse(parameter("Tags.member.1.Value")).state(), Some(LeaseState::Held))
                {
                    self.frees_the_slot(parameter("ResourceArns.member.1"), &own_tag, parameters);
                    return;
                }
                if !operation
                    .is_some_and(|operation| operation.groups.iter().any(|group| group.claim.is_some()))
                {
                    self.points.wrong("a claim that is not on record".to_owned());
                }
            }
            "RemoveTags" => self.frees_the_slot(parameter("ResourceArns.member.1"), &own_tag, parameters),
            _ => (),
        }
    }

    /// A slot is only given back by a node that is in service.
    fn frees_the_slot(&self, arn: &str, own_tag: &str, parameters: &BTreeMap<String, String>) {
        let halted =
            parameters.get("Tags.member.1.Value").is_some_and(|value| Reading::parse(value).takes_slot());
        if halted || self.points.is_meddled() || !self.alb.tags(arn).contains_key(own_tag) {
            return;
        }
        let own: Vec<_> =
            self.alb.targets(arn).into_iter().filter(|target| target.id == self.target).collect();
        if own.is_empty() || own.iter().any(|target| target.state != TargetHealth::Healthy) {
            self.points.wrong(format!("the lease is given back while the node is out: {own:?}"));
        }
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = self.clone();
        HttpConnectorFuture::new(async move {
            let parameters: BTreeMap<String, String> =
                form(request.body().bytes().unwrap_or_default()).into_iter().collect();
            let action = parameters.get("Action").cloned().unwrap_or_default();
            let inner = InProcess::new(wire.alb.aws().elastic_load_balancing());
            wire.points.pass(Point::Before(action.clone()));
            wire.points.call(&wire.alb, &action);
            wire.look(&action, &parameters);
            let changes = !action.starts_with("Describe");
            if changes && wire.points.is_last(Point::OnTheWire(action.clone())) {
                tokio::spawn(async move {
                    tokio::time::sleep(ON_THE_WIRE).await;
                    // Its sender is dead: nobody looks at the answer.
                    let _ = inner.call(request).await;
                });
                Points::stop();
            }
            let answer = inner.call(request).await;
            wire.points.pass(Point::After(action));
            answer
        })
    }
}

fn form(body: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(body).into_owned().collect()
}
