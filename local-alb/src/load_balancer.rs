//! The state that all routers share: the model behind a lock, the faults, and the calls so far.

use crate::dial::Dial;
use crate::faults::{Fault, Faults};
use crate::model::Model;
use crate::model::scaling_group::AutoScalingGroup;
use crate::settings::Settings;
use rand::RngExt;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Number of API calls that are kept.
const CALLS_KEPT: usize = 200_000;

/// The load balancer. Clones share its state. The health checks stop when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct LocalAlb(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    model: Mutex<Model>,
    dial: Dial,
    calls: Mutex<VecDeque<Call>>,
    scaling_groups: Mutex<BTreeMap<String, AutoScalingGroup>>,
}

/// An API call.
#[derive(Debug, Clone)]
pub struct Call {
    /// The time of the response.
    pub at: Instant,
    /// The action, as sent.
    pub action: String,
    /// All parameters, as sent.
    pub parameters: Vec<(String, String)>,
    /// `ok`, an error code, or the name of the fault that suppressed the response.
    pub answer: String,
    /// The header `amz-sdk-request`, in which an SDK numbers its attempts.
    pub sdk_request: Option<String>,
}

impl LocalAlb {
    /// Creates a load balancer without target groups.
    pub fn new(settings: Settings) -> LocalAlb {
        LocalAlb(Arc::new(Inner {
            dial: Dial::new(settings.connect_timeout, settings.idle_timeout),
            model: Mutex::new(Model::new(settings)),
            calls: Mutex::default(),
            scaling_groups: Mutex::default(),
        }))
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        // No code panics while it holds the lock. If it ever does, only its own test fails.
        self.0.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What opens connections to targets.
    pub(crate) fn dial(&self) -> Dial {
        self.0.dial.clone()
    }

    pub(crate) fn fate_of(&self, action: &str) -> (Option<Fault>, Duration) {
        let mut model = self.model();
        let Model { fate, random, .. } = &mut *model;
        (fate.decide(action, Instant::now(), random), fate.faults.latency)
    }

    /// Replaces the faults.
    pub fn set_faults(&self, faults: Faults) {
        self.model().fate.faults = faults;
    }

    /// Changes some of the faults.
    pub fn change_faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.model().fate.faults);
    }

    /// Makes the next `times` calls of an action fail in this way.
    pub fn script(&self, action: &str, fault: Fault, times: usize) {
        let mut model = self.model();
        let queue = model.fate.scripted.entry(action.to_owned()).or_default();
        queue.extend(std::iter::repeat_n(fault, times));
    }

    /// Removes all scripted faults.
    pub fn clear_script(&self) {
        self.model().fate.scripted.clear();
    }

    /// The last 200,000 API calls, oldest first, if [`Settings::keep_calls`] is set.
    pub fn calls(&self) -> Vec<Call> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Whether the calls are kept.
    pub(crate) fn keeps_calls(&self) -> bool {
        self.model().settings.keep_calls
    }

    pub(crate) fn remember(&self, call: Call) {
        let mut calls = self.0.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() == CALLS_KEPT {
            calls.pop_front();
        }
        calls.push_back(call);
    }

    pub(crate) fn request_id(&self) -> String {
        let id = self.model().random.random::<u128>();
        let hex = format!("{id:032x}");
        let part = |from, to| hex.get(from..to).unwrap_or_default();
        [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
    }

    /// The Auto Scaling state that the metadata service returns. `None`: the instance is in no group (404).
    pub(crate) fn auto_scaling_state(&self, instance_id: &str) -> Option<String> {
        let groups = self.scaling_groups();
        groups.values().find_map(|group| group.target_state(instance_id)).map(str::to_owned)
    }

    pub(crate) fn scaling_groups(&self) -> MutexGuard<'_, BTreeMap<String, AutoScalingGroup>> {
        self.0.scaling_groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
