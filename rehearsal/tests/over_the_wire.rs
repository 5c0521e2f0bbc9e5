//! Real agent processes against the load balancer over sockets, with the API at its worst: stale tags, throttling, lost
//! answers. Never more than K out, and everybody ends well.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod estate;

use estate::{node, quick_group, run, serve, service, until};
use local_alb::{Bucket, Buckets, Faults, Instance, LocalAlb};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};

/// Nodes with real services, an agent each.
struct Nodes {
    alb: LocalAlb,
    api: String,
    ports: Vec<u16>,
    dir: tempfile::TempDir,
    _services: Vec<JoinHandle<()>>,
}

async fn nodes(count: usize) -> Nodes {
    let alb = LocalAlb::new(local_alb::Settings {
        propagation_lag: Duration::from_millis(100),
        ..Default::default()
    });
    let (mut ports, mut services) = (Vec::new(), Vec::new());
    for number in 1..=count {
        let (port, service) = service().await;
        ports.push(port);
        services.push(service);
        let id = node(number);
        alb.add_instance(Instance { id, address: [127, 0, 0, 1].into(), zone: "us-east-1a".into() });
    }
    let (api, dir) = (serve(alb.aws().elastic_load_balancing()).await, tempfile::tempdir().unwrap());
    Nodes { alb, api, ports, dir, _services: services }
}

impl Nodes {
    /// A group of these nodes, numbered from 1, all in service.
    async fn group(&self, name: &str, members: &[usize], slots: usize) -> String {
        let targets = members.iter().map(|number| (node(*number), self.ports[number - 1])).collect();
        let mut group = quick_group(name, targets);
        group.attributes = [("deregistration_delay.timeout_seconds".to_owned(), "0".to_owned())].into();
        group.health_check.interval = Duration::from_millis(100);
        group.tags = [
            ("node-agent/managed".to_owned(), "true".to_owned()),
            ("node-agent/max-unavailable".to_owned(), slots.to_string()),
        ]
        .into();
        let arn = self.alb.create_target_group(group).unwrap();
        until(|| self.alb.instances_out(&arn) == 0).await;
        arn
    }

    /// All agents at once; they find their groups by the tag.
    async fn all_maintain(&self) {
        let mut agents = JoinSet::new();
        for number in 1..=self.ports.len() {
            let environment = self.environment(number).await;
            agents.spawn(async move { run(&environment, &["maintain", "--", "true"]).await });
        }
        for run in agents.join_all().await {
            run.says(0, &["succeeded"]);
        }
    }

    async fn environment(&self, number: usize) -> BTreeMap<&'static str, String> {
        let dir = self.dir.path().join(number.to_string());
        write_config(&dir);
        BTreeMap::from([
            ("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", self.api.clone()),
            (
                "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                serve(self.alb.aws().instance_metadata(&node(number))).await,
            ),
            ("NODE_AGENT_CONFIG", dir.join("config.toml").display().to_string()),
        ])
    }

    /// Samples how many nodes of a group are out.
    fn watch(&self, arn: &str) -> Watch {
        let most = Arc::new(AtomicUsize::new(0));
        let (alb, arn, seen) = (self.alb.clone(), arn.to_owned(), most.clone());
        let task = tokio::spawn(async move {
            loop {
                seen.fetch_max(alb.instances_out(&arn), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        Watch { most, task }
    }

    fn assert_restored(&self, arn: &str) {
        assert_eq!(self.alb.instances_out(arn), 0);
        let tags = self.alb.tags(arn);
        assert!(!tags.keys().any(|key| key.contains("/lease/")), "{tags:#?}");
    }
}

struct Watch {
    most: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Watch {
    fn most_out(self) -> usize {
        self.task.abort();
        self.most.load(Ordering::Relaxed)
    }
}

/// Settings that fit faults which we know: reads are stale for 200 ms at the most, and what was given up on lands within
/// the time that a call may take.
fn write_config(dir: &Path) {
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("boot_id"), "first\n").unwrap();
    let text = format!(
        "state_dir = {:?}\nboot_id_path = {:?}\ndrain_floor = \"200ms\"\nstaleness = \"200ms\"\nsettle = \"400ms\"\n\
         quarantine = \"2s\"\napi_timeout = \"1900ms\"\nlease_poll = \"200ms\"\nhealth_poll = \"200ms\"\nhealth_interval = \"50ms\"\n\
         health_passes = 1\nexpected_hold = \"1s\"\nfleet_rate = 20.0\nlease_wait = \"2m\"\n",
        dir.join("state"),
        dir.join("boot_id"),
    );
    std::fs::write(dir.join("config.toml"), text).unwrap();
}

/// An API at its worst.
fn faults() -> Faults {
    let bucket = |per_second| Bucket { burst: 40.0, per_second };
    Faults {
        stale_tags: Duration::from_millis(200),
        lost_answer_rate: 0.01,
        error_rate: 0.01,
        throttle: Some(Buckets { describe: bucket(60.0), tags: bucket(20.0), ..Buckets::default() }),
        ..Faults::default()
    }
}

async fn twelve_nodes_with(slots: usize) {
    let nodes = nodes(12).await;
    let all: Vec<_> = (1..=12).collect();
    let arn = nodes.group("web", &all, slots).await;
    nodes.alb.set_faults(faults());
    let watch = nodes.watch(&arn);
    nodes.all_maintain().await;
    let most = watch.most_out();
    assert!((1..=slots).contains(&most), "{most} out with {slots} slots");
    nodes.assert_restored(&arn);
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_agents_with_one_slot() {
    twelve_nodes_with(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_agents_with_two_slots() {
    twelve_nodes_with(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_overlap_in_a_circle_do_not_wait_for_each_other_for_ever() {
    let nodes = nodes(6).await;
    let mut groups = Vec::new();
    for (name, members) in [("one", [1, 4, 3, 6]), ("two", [1, 4, 2, 5]), ("three", [2, 5, 3, 6])] {
        let arn = nodes.group(name, &members, 1).await;
        groups.push((nodes.watch(&arn), arn));
    }
    nodes.all_maintain().await;
    for (watch, arn) in groups {
        assert_eq!(watch.most_out(), 1);
        nodes.assert_restored(&arn);
    }
}
