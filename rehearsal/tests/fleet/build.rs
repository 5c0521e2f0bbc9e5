//! How a fleet is built, in words.

use super::fakes::{FakeMachine, FakeService};
use super::{Fleet, Node, PORT};
use local_alb::{HealthCheck, Instance, LocalAlb, Probe, Probes, TargetGroupSettings};
use node_agent::aws::instance_metadata::Identity;
use node_agent::machine::ports::Stop;
use node_agent::record::disk::LocalDisk;
use node_agent::settings::Settings;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
    idle: bool,
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
        alb: local_alb::Settings { keep_calls: true, ..local_alb::Settings::default() },
        settings: Settings { target_groups: vec!["web".into()], ..Settings::default() },
        seed: 1,
        check_every: None,
        idle: false,
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
    /// Behind no listener: the idle colour of a blue/green pair.
    pub fn idle(mut self) -> Builder {
        self.idle = true;
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
                load_balancer: !self.idle,
                ..TargetGroupSettings::default()
            })
            .unwrap()
        };
        let arns: Vec<_> = self.groups.iter().map(group).collect();
        let fleet = Fleet { arn: arns[0].clone(), alb, arns, nodes, services, _state: state };
        if !self.idle {
            fleet.until_in_service().await;
        }
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
