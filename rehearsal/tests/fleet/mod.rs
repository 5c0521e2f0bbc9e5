//! A fleet in process, on a paused clock: the agent's own driver against local-alb's own model, without sockets.
//!
//! The test is the machine: it reboots, crashes and restarts nodes by dropping their driver and starting another on the
//! same record.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "every test file takes what it needs of it")]

mod fakes;
mod log;
mod node;

use fakes::{FakeMachine, FakeService};
use local_alb::{Call, HealthCheck, Instance, LocalAlb, Probe, Probes, TargetGroupSettings};
use node_agent::aws::instance_metadata::Identity;
use node_agent::machine::ports::Stop;
use node_agent::machine::time::Length;
use node_agent::maintenance::context::End;
use node_agent::record::Finished;
use node_agent::record::disk::LocalDisk;
use node_agent::settings::Settings;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

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

/// How to build a [`Fleet`].
pub struct Builder {
    nodes: usize,
    tags: BTreeMap<String, String>,
    attributes: BTreeMap<String, String>,
    ports: Vec<u16>,
    groups: Vec<String>,
    target_type: String,
    protocol_version: String,
    alb: local_alb::Settings,
    settings: Settings,
    seed: u64,
    check_every: Option<Duration>,
}

/// Three healthy nodes, one of them out at a time, a deregistration delay of 60 s.
pub fn fleet() -> Builder {
    Builder {
        nodes: 3,
        tags: BTreeMap::new(),
        attributes: BTreeMap::from([("deregistration_delay.timeout_seconds".into(), "60".into())]),
        ports: vec![PORT],
        groups: vec!["web".into()],
        target_type: "instance".into(),
        protocol_version: "HTTP1".into(),
        alb: local_alb::Settings::default(),
        settings: Settings { target_groups: vec!["web".into()], ..Settings::default() },
        seed: 1,
        check_every: None,
    }
}

impl Builder {
    pub fn nodes(mut self, nodes: usize) -> Builder {
        self.nodes = nodes;
        self
    }
    pub fn tag(mut self, name: &str, value: &str) -> Builder {
        self.tags.insert(format!("node-agent/{name}"), value.into());
        self
    }
    pub fn attribute(mut self, key: &str, value: &str) -> Builder {
        self.attributes.insert(key.into(), value.into());
        self
    }
    pub fn ports(mut self, ports: &[u16]) -> Builder {
        self.ports = ports.to_vec();
        self
    }
    /// In a second group, too.
    pub fn two_groups(mut self) -> Builder {
        self.groups.push("admin".into());
        self.settings.target_groups.push("admin".into());
        self
    }
    pub fn by_address(mut self) -> Builder {
        self.target_type = "ip".into();
        self
    }
    /// The load balancer speaks HTTP/2 to the targets.
    pub fn over_http2(mut self) -> Builder {
        self.protocol_version = "HTTP2".into();
        self
    }
    /// By addresses outside the VPC.
    pub fn outside_the_vpc(mut self) -> Builder {
        self.alb.outside_vpc = (0..self.nodes).map(|number| address(number).parse().unwrap()).collect();
        self.by_address()
    }
    /// By addresses, in a VPC with some outside.
    pub fn inside_the_vpc(mut self) -> Builder {
        self.alb.outside_vpc = vec!["192.0.2.1".parse().unwrap()];
        self.by_address()
    }
    pub fn seed(mut self, seed: u64) -> Builder {
        self.seed = seed;
        self.alb.seed = seed;
        self
    }
    /// Health checks seldom: in a large fleet they are most of the work.
    pub fn check_every(mut self, interval: Duration) -> Builder {
        self.check_every = Some(interval);
        self
    }
    pub fn faults(mut self, faults: local_alb::Faults) -> Builder {
        self.alb.faults = faults;
        self
    }
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Builder {
        change(&mut self.settings);
        self
    }

    /// Builds it and waits until every node is in service.
    pub async fn start(self) -> Fleet {
        let by_address = self.target_type == "ip";
        let services: Arc<Mutex<BTreeMap<String, Arc<FakeService>>>> = Arc::default();
        let known = services.clone();
        let probes = Probes::Scripted(Arc::new(move |id: &str, port| {
            let service = known.lock().unwrap().get(id).cloned();
            match service.map(|service| service.status_of(port)) {
                Some(Some(status)) => Probe::Status(status),
                _ => Probe::Failed,
            }
        }));
        let alb = LocalAlb::new(local_alb::Settings { probes, ..self.alb });
        let state = scratch();
        let mut nodes = Vec::new();
        for number in 0..self.nodes {
            let id = format!("i-{number:017x}");
            let address = address(number);
            let target_id = if by_address { address.clone() } else { id.clone() };
            alb.add_instance(Instance {
                id: id.clone(),
                address: address.parse().unwrap(),
                zone: "us-east-1a".into(),
            });
            let service = Arc::new(FakeService::default());
            services.lock().unwrap().insert(target_id.clone(), service.clone());
            let settings = Settings { state_dir: state.path().join(&id), ..self.settings.clone() };
            nodes.push(Node {
                identity: Identity {
                    instance_id: id,
                    addresses: vec![address.parse().unwrap()],
                    auto_scaling: None,
                },
                target_id,
                alb: alb.clone(),
                machine: Arc::new(FakeMachine::default()),
                service,
                settings,
                http: None,
                disk: Arc::new(LocalDisk),
                seed: self.seed.wrapping_mul(1000) + number as u64,
                stop: Stop::new(),
            });
        }
        let mut health_check = HealthCheck::default();
        health_check.interval = self.check_every.unwrap_or(health_check.interval);
        let pair =
            |node: &Node| self.ports.iter().map(|port| (node.target_id.clone(), *port)).collect::<Vec<_>>();
        let group = |name: &String| {
            alb.create_target_group(TargetGroupSettings {
                name: name.clone(),
                port: PORT,
                target_type: self.target_type.clone(),
                protocol_version: self.protocol_version.clone(),
                targets: nodes.iter().flat_map(pair).collect(),
                tags: self.tags.clone(),
                attributes: self.attributes.clone(),
                health_check: health_check.clone(),
                ..TargetGroupSettings::default()
            })
            .unwrap()
        };
        let arns: Vec<_> = self.groups.iter().map(group).collect();
        let fleet = Fleet { arn: arns[0].clone(), alb, arns, nodes, services, _state: state };
        fleet.until_in_service().await;
        fleet
    }
}

/// The address of a node, numbered from 0.
fn address(number: usize) -> String {
    format!("10.0.{}.{}", number / 250, number % 250 + 1)
}

/// In memory where that is possible: thousands of records, each synced many times, wear out a disk and the clock.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
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
