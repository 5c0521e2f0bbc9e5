//! A fleet in process, on a paused clock: the agent's own driver against local-alb's own model, without sockets.
//!
//! The test is the machine: it reboots, crashes and restarts nodes by dropping their driver and starting another on the
//! same record.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "every test file takes what it needs of it")]

mod build;
mod fakes;
mod log;
mod node;

use fakes::FakeService;
use local_alb::{Call, LocalAlb};
use node_agent::machine::time::Length;
use node_agent::maintenance::context::End;
use node_agent::record::Finished;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

pub use build::{Builder, fleet};
pub use fakes::Told;
pub use log::{Log, logged};
pub use node::Node;

/// The port of every service, unless a test says otherwise.
pub const PORT: u16 = 8080;

/// A fleet behind one load balancer.
pub struct Fleet {
    /// The load balancer.
    pub alb: LocalAlb,
    /// The first target group.
    pub arn: String,
    /// All of them.
    pub arns: Vec<String>,
    /// The nodes, numbered from 0.
    pub nodes: Vec<Node>,
    /// By target id.
    services: Arc<Mutex<BTreeMap<String, Arc<FakeService>>>>,
    _state: tempfile::TempDir,
}

impl Fleet {
    /// Waits until every node is healthy.
    pub async fn until_in_service(&self) {
        until(|| self.arns.iter().all(|arn| self.alb.instances_out(arn) == 0)).await;
    }

    /// Gives a node a further address. Its service answers there, too.
    pub fn give_address(&self, node: usize, address: &str) {
        self.answers_at(node, address);
        self.alb.assign_address(&self.nodes[node].identity.instance_id, address.parse().unwrap());
    }

    /// The service of a node answers the health checks of this target.
    pub fn answers_at(&self, node: usize, target_id: &str) {
        self.services.lock().unwrap().insert(target_id.to_owned(), self.nodes[node].service.clone());
    }

    /// The state of any target of the first group, as a word; `-` without one.
    pub fn state(&self, target_id: &str, port: u16) -> String {
        let targets = self.alb.targets(&self.arn);
        let found = targets.into_iter().find(|target| target.id == target_id && target.port == port);
        found.map_or_else(|| "-".to_owned(), |target| target.state.to_string())
    }

    /// The lease tags, by instance id, as they are.
    pub fn leases(&self) -> BTreeMap<String, String> {
        let tags = self.alb.tags(&self.arn);
        let leases = tags
            .into_iter()
            .filter_map(|(key, value)| Some((key.strip_prefix("node-agent/lease/")?.to_owned(), value)));
        leases.collect()
    }

    /// The lease tag of one node, as it is.
    pub fn lease(&self, node: usize) -> Option<String> {
        self.leases().remove(&self.nodes[node].identity.instance_id)
    }

    /// The key of that tag.
    pub fn lease_key(&self, node: usize) -> String {
        format!("node-agent/lease/{}", self.nodes[node].identity.instance_id)
    }

    /// The calls of one action so far, oldest first.
    pub fn calls(&self, action: &str) -> Vec<Call> {
        self.alb.calls().into_iter().filter(|call| call.action == action).collect()
    }

    /// The registered pairs and how they are, as words.
    pub fn pairs(&self, node: usize) -> Vec<(u16, String)> {
        let id = &self.nodes[node].target_id;
        let ours = self.alb.targets(&self.arn).into_iter().filter(|target| target.id == *id);
        ours.map(|target| (target.port, target.state.to_string())).collect()
    }

    /// Reboots the first three nodes, all asked for at the same moment.
    pub async fn reboot_three_at_once(&self) -> [Finished; 3] {
        let reboot = |node: usize| self.nodes[node].finish(self.nodes[node].reboot());
        tokio::join!(reboot(0), reboot(1), reboot(2)).into()
    }

    /// Samples, in the background, how many nodes are out at a time.
    pub fn watch(&self) -> Watcher {
        self.watch_every(Duration::from_millis(500))
    }

    /// Samples less often: in a large fleet looking is work.
    pub fn watch_every(&self, every: Duration) -> Watcher {
        let most = Arc::new(AtomicUsize::new(0));
        let (alb, arn, seen) = (self.alb.clone(), self.arn.clone(), most.clone());
        let task = tokio::spawn(async move {
            loop {
                seen.fetch_max(alb.instances_out(&arn), Ordering::Relaxed);
                tokio::time::sleep(every).await;
            }
        });
        Watcher { most, task }
    }

    /// All is as it was before: every node in service, no lease left.
    pub fn assert_restored(&self) {
        assert_eq!(self.alb.instances_out(&self.arn), 0, "{:?}", self.alb.targets(&self.arn));
        assert_eq!(self.leases(), BTreeMap::new());
    }
}

/// Counts nodes that are out.
pub struct Watcher {
    most: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Watcher {
    /// The most that were out at a time.
    pub fn most_out(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a maintenance that ran to its end left behind.
pub fn finished(end: End) -> Finished {
    match end {
        End::Finished(finished) => finished,
        other => panic!("not finished: {other:?}"),
    }
}

/// Waits for a condition, for a day of the paused clock at most.
pub async fn until(condition: impl Fn() -> bool) {
    within(Duration::from_secs(86_400), condition).await;
}

/// Waits for a condition, for so long at most. Returns how long it took.
pub async fn within(limit: Duration, condition: impl Fn() -> bool) -> Duration {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < limit, "a condition that never came to hold");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    begun.elapsed()
}

/// A length of time for settings.
pub fn seconds(seconds: u64) -> Length {
    Length::from_secs(seconds)
}
