//! A stand-in for an AWS Application Load Balancer, on loopback.
//!
//! [`LocalAlb`] is the model and its background tasks. It has three faces, each an axum router: [`LocalAlb::api`] speaks the
//! ELBv2 Query API, [`LocalAlb::proxy`] forwards requests to the targets of a group, [`LocalAlb::imds`] is the instance
//! metadata service of one node. [`serve`] puts a router on a socket; in a test on a paused clock the API's router is
//! called in process instead (`in_process`, behind the feature of that name).
//!
//! It behaves as AWS does where an agent could trip: targets are keyed by (id, port), a deregistration reaches the data
//! plane late, `draining` lasts for the whole delay, reads may be stale, answers may be lost.
//!
//! It stays on loopback: [`serve`] refuses other listeners, and health checks and requests go to loopback addresses only.
//! An instance may have another address, but no socket is ever opened to it: over HTTP its checks fail and its requests get 503.

mod api;
mod auto_scaling;
pub mod config;
mod create;
mod faults;
mod health;
mod imds;
#[cfg(feature = "in-process")]
pub mod in_process;
mod model;
mod proxy;
mod serve;
mod settings;

pub use auto_scaling::AutoScalingGroup;
use axum::Router;
pub use create::CreateError;
pub use faults::{Bucket, Buckets, Fault, Faults};
pub use model::target::TargetHealth;
use model::{Model, NewRegistration};
use rand::RngExt;
pub use serve::{ServeError, serve};
pub use settings::{HealthCheck, Instance, Probe, Probes, Script, Settings, TargetGroupSettings};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How many API calls are remembered.
const CALLS_KEPT: usize = 200_000;

/// The load balancer. Clones share it; when the last is dropped its health checks stop.
#[derive(Debug, Clone)]
pub struct LocalAlb(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    model: Mutex<Model>,
    calls: Mutex<VecDeque<Call>>,
    auto_scaling: Mutex<BTreeMap<String, String>>,
    scaling_groups: Mutex<BTreeMap<String, auto_scaling::Group>>,
}

/// One API call, as it came in.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it was answered.
    pub at: Instant,
    /// The action, as written.
    pub action: String,
    /// All parameters, as written.
    pub parameters: Vec<(String, String)>,
    /// `ok`, an error code, or the name of the fault that ate the answer.
    pub answer: String,
    /// The header `amz-sdk-request`, where an SDK says which attempt this is.
    pub sdk_request: Option<String>,
}

/// The truth about one target, whatever reads may show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetView {
    /// The instance id or address.
    pub id: String,
    /// The port it was registered with.
    pub port: u16,
    /// Its health.
    pub state: TargetHealth,
    /// Requests under way.
    pub in_flight: usize,
}

impl LocalAlb {
    /// A load balancer without groups.
    pub fn new(settings: Settings) -> LocalAlb {
        LocalAlb(Arc::new(Inner {
            model: Mutex::new(Model::new(settings)),
            calls: Mutex::default(),
            auto_scaling: Mutex::default(),
            scaling_groups: Mutex::default(),
        }))
    }

    /// Deletes a group, as its owner may at any time.
    pub fn delete_target_group(&self, arn: &str) {
        self.model().groups.remove(arn);
    }

    /// Makes an instance known: its id may be registered, and its traffic goes to its address.
    pub fn add_instance(&self, instance: Instance) {
        self.model().instances.insert(instance.id.clone(), instance);
    }

    /// An instance leaves a group for good: it is deregistered and not expected back.
    pub fn retire(&self, arn: &str, instance_id: &str) {
        let now = Instant::now();
        let mut model = self.model();
        let Some(group) = model.groups.get_mut(arn) else { return };
        group.expected.remove(instance_id);
        let delay = group.delay();
        group
            .targets
            .iter_mut()
            .filter(|((id, _), _)| id == instance_id)
            .for_each(|(_, t)| t.deregister(now, delay));
    }

    /// What the metadata service says of Auto Scaling; `None`: the instance is in no group (404).
    pub fn set_auto_scaling_state(&self, instance_id: &str, state: Option<&str>) {
        let mut states = self.0.auto_scaling.lock().unwrap_or_else(PoisonError::into_inner);
        match state {
            Some(state) => states.insert(instance_id.to_owned(), state.to_owned()),
            None => states.remove(instance_id),
        };
    }

    pub(crate) fn auto_scaling_state(&self, instance_id: &str) -> Option<String> {
        self.0.auto_scaling.lock().unwrap_or_else(PoisonError::into_inner).get(instance_id).cloned()
    }

    /// The ELBv2 Query API.
    pub fn api(&self) -> Router {
        api::router(self.clone(), api::ELASTIC_LOAD_BALANCING)
    }

    /// The Auto Scaling Query API.
    pub fn auto_scaling_api(&self) -> Router {
        api::router(self.clone(), api::AUTO_SCALING)
    }

    /// The instance metadata service of one instance.
    pub fn imds(&self, instance_id: &str) -> Router {
        imds::router(self.clone(), instance_id)
    }

    /// A listener that forwards to one target group. Needs [`serve`], which tells it the client's address.
    pub fn proxy(&self, target_group_arn: &str) -> Router {
        proxy::router(self.clone(), target_group_arn)
    }

    /// From now on these faults are in force.
    pub fn set_faults(&self, faults: Faults) {
        self.model().fate.faults = faults;
    }

    /// From now on other faults are in force, besides those that were.
    pub fn change_faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.model().fate.faults);
    }

    /// The next `times` calls of an action get this fault.
    pub fn script(&self, action: &str, fault: Fault, times: usize) {
        let mut model = self.model();
        let queue = model.fate.scripted.entry(action.to_owned()).or_default();
        queue.extend(std::iter::repeat_n(fault, times));
    }

    /// No call has a scripted fault any more.
    pub fn clear_script(&self) {
        self.model().fate.scripted.clear();
    }

    /// The truth about every target of a group, those that have gone included.
    pub fn targets(&self, arn: &str) -> Vec<TargetView> {
        let now = Instant::now();
        let model = self.model();
        let targets = model.groups.get(arn).into_iter().flat_map(|group| &group.targets);
        let view = |((id, port), target): (&(String, u16), &model::target::Target)| TargetView {
            id: id.clone(),
            port: *port,
            state: target.health_at(now),
            in_flight: target.in_flight_now(),
        };
        targets.map(view).collect()
    }

    /// How many instances of a group are not in service right now. Instances that ever belonged to it count, retired ones
    /// do not; one is in service when every pair of it that is registered is healthy. `initial` counts as out.
    pub fn instances_out(&self, arn: &str) -> usize {
        self.model().instances_out(Instant::now(), arn)
    }

    /// The tags of a group as they are.
    pub fn tags(&self, arn: &str) -> BTreeMap<String, String> {
        self.model().groups.get(arn).map(|group| group.tags.now(Instant::now())).unwrap_or_default()
    }

    /// The owner of the group sets a tag.
    pub fn set_tag(&self, arn: &str, key: &str, value: &str) {
        if let Some(group) = self.model().groups.get_mut(arn) {
            group.tags.set(Instant::now(), key, value);
        }
    }

    /// The owner of the group removes a tag.
    pub fn remove_tag(&self, arn: &str, key: &str) {
        if let Some(group) = self.model().groups.get_mut(arn) {
            group.tags.remove(Instant::now(), key);
        }
    }

    /// Somebody else registers a target, without a fault.
    pub fn register(&self, arn: &str, id: &str, port: u16) {
        let new = self.model().register(Instant::now(), arn, id, port);
        self.check_health_of(new.into_iter().collect());
    }

    /// Somebody else deregisters a target, without a fault.
    pub fn deregister(&self, arn: &str, id: &str, port: u16) {
        self.model().deregister(Instant::now(), arn, id, port);
    }

    /// The API calls so far, oldest first; the last 200,000.
    pub fn calls(&self) -> Vec<Call> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(crate) fn remember(&self, call: Call) {
        let mut calls = self.0.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() == CALLS_KEPT {
            calls.pop_front();
        }
        calls.push_back(call);
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        // No code panics while it holds the lock; if one ever does, its test fails and the others go on.
        self.0.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fate_of(&self, action: &str) -> (Option<Fault>, Duration) {
        let mut model = self.model();
        let Model { fate, random, .. } = &mut *model;
        (fate.decide(action, Instant::now(), random), fate.faults.latency)
    }

    pub(crate) fn request_id(&self) -> String {
        let id = self.model().random.random::<u128>();
        let hex = format!("{id:032x}");
        let part = |from, to| hex.get(from..to).unwrap_or_default();
        [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
    }

    pub(crate) fn check_health_of(&self, registrations: Vec<NewRegistration>) {
        for registration in registrations {
            tokio::spawn(health::check(Arc::downgrade(&self.0), registration));
        }
    }
}
