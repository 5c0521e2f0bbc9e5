//! A fleet in process, on a paused clock: the agent's own driver against local-alb's own model, without sockets.
//!
//! The test is the machine: it reboots, crashes and restarts nodes by dropping their driver and starting another on the
//! same record.

#![allow(dead_code, unreachable_pub, reason = "every test file takes what it needs of it")]

use async_trait::async_trait;
use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::config::retry::RetryConfig;
use aws_sdk_elasticloadbalancingv2::config::{BehaviorVersion, Credentials, Region};
use jiff::Timestamp;
use local_alb::in_process::InProcess;
use local_alb::{Instance, LocalAlb, Probe, Probes, TargetGroupSettings};
use node_agent::driver::{DriveError, Driver, End};
use node_agent::identity::Identity;
use node_agent::journal::{self, Journal};
use node_agent::load_balancer::LoadBalancer;
use node_agent::ports::{CommandEnd, Machine, MachineError, Service, ServiceError, Stop};
use node_agent::progress::Progress;
use node_agent::record::{Finished, Operation, RebootWhen, Request};
use node_agent::settings::Settings;
use node_agent::time::Length;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// The port of every service, unless a test says otherwise.
pub const PORT: u16 = 8080;

/// A fleet behind one load balancer.
pub struct Fleet {
    /// The load balancer.
    pub alb: LocalAlb,
    /// The first target group.
    pub arn: String,
    /// The nodes, numbered from 0.
    pub nodes: Vec<Node>,
    _state: tempfile::TempDir,
}

/// How to build a [`Fleet`].
pub struct Builder {
    nodes: usize,
    tags: BTreeMap<String, String>,
    attributes: BTreeMap<String, String>,
    ports: Vec<u16>,
    target_type: String,
    alb: local_alb::Settings,
    settings: Settings,
    seed: u64,
}

/// Three healthy nodes, one of them out at a time, a deregistration delay of 60 s.
pub fn fleet() -> Builder {
    Builder {
        nodes: 3,
        tags: BTreeMap::new(),
        attributes: BTreeMap::from([("deregistration_delay.timeout_seconds".into(), "60".into())]),
        ports: vec![PORT],
        target_type: "instance".into(),
        alb: local_alb::Settings::default(),
        settings: Settings { target_groups: vec!["web".into()], ..Settings::default() },
        seed: 1,
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
    pub fn by_address(mut self) -> Builder {
        self.target_type = "ip".into();
        self
    }
    pub fn seed(mut self, seed: u64) -> Builder {
        self.seed = seed;
        self.alb.seed = seed;
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
        let probes = Probes::Scripted(Arc::new(move |id: &str, _| {
            let service = known.lock().unwrap().get(id).cloned();
            match service.map(|service| service.status()) {
                Some(Some(status)) => Probe::Status(status),
                _ => Probe::Failed,
            }
        }));
        let alb = LocalAlb::new(local_alb::Settings { probes, ..self.alb });
        let state = scratch();
        let mut nodes = Vec::new();
        for number in 0..self.nodes {
            let id = format!("i-{number:017x}");
            let address = format!("10.0.{}.{}", number / 250, number % 250 + 1);
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
                identity: Identity { instance_id: id, addresses: vec![address], auto_scaling: None },
                target_id,
                alb: alb.clone(),
                machine: Arc::new(FakeMachine::default()),
                service,
                settings,
                seed: self.seed.wrapping_mul(1000) + number as u64,
                stop: Arc::new(watch::channel(false).0),
            });
        }
        let pair =
            |node: &Node| self.ports.iter().map(|port| (node.target_id.clone(), *port)).collect::<Vec<_>>();
        let arn = alb
            .create_target_group(TargetGroupSettings {
                name: "web".into(),
                port: PORT,
                target_type: self.target_type,
                targets: nodes.iter().flat_map(pair).collect(),
                tags: self.tags,
                attributes: self.attributes,
                ..TargetGroupSettings::default()
            })
            .unwrap();
        let fleet = Fleet { alb, arn, nodes, _state: state };
        fleet.until_in_service().await;
        fleet
    }
}

/// In memory where that is possible: thousands of records, each synced many times, wear out a disk and the clock.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

impl Fleet {
    /// Waits until every node is healthy.
    pub async fn until_in_service(&self) {
        until(|| self.alb.instances_out(&self.arn) == 0).await;
    }

    /// The lease tags, by instance id, as they are.
    pub fn leases(&self) -> BTreeMap<String, String> {
        let tags = self.alb.tags(&self.arn);
        let leases = tags
            .into_iter()
            .filter_map(|(key, value)| Some((key.strip_prefix("node-agent/lease/")?.to_owned(), value)));
        leases.collect()
    }

    /// The registered pairs and how they are, as words.
    pub fn pairs(&self, node: usize) -> Vec<(u16, String)> {
        let id = &self.nodes[node].target_id;
        let ours = self.alb.targets(&self.arn).into_iter().filter(|target| target.id == *id);
        ours.map(|target| (target.port, target.state.to_string())).collect()
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

/// One node: what outlives its agent's process.
#[derive(Clone)]
pub struct Node {
    pub identity: Identity,
    /// How the group calls it.
    pub target_id: String,
    pub machine: Arc<FakeMachine>,
    pub service: Arc<FakeService>,
    pub settings: Settings,
    alb: LocalAlb,
    seed: u64,
    stop: Arc<watch::Sender<bool>>,
}

impl Node {
    /// A request to reboot.
    pub fn reboot(&self) -> Request {
        self.request(RebootWhen::Always, &[])
    }

    /// A request to run a command.
    pub fn run(&self, command: &[&str]) -> Request {
        self.request(RebootWhen::Never, command)
    }

    pub fn request(&self, reboot: RebootWhen, command: &[&str]) -> Request {
        Request {
            id: format!("{:016x}", self.seed),
            stay_out: false,
            reboot,
            under_ssm: false,
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            settings: self.settings.clone(),
        }
    }

    /// A driver for a new operation.
    pub fn driver(&self, request: Request) -> Driver {
        let journal = self.journal();
        let now = (&*self.machine as &dyn Machine).now().unwrap();
        self.put_together(journal, Operation::new(request, now))
    }

    /// A driver that takes up what is on record, as `resume` does.
    pub fn resumed(&self) -> Driver {
        let mut journal = self.journal();
        let now = (&*self.machine as &dyn Machine).now().unwrap();
        let mut operation = journal.record.operation.take().expect("something to resume");
        operation.take_up(&now);
        self.put_together(journal, operation)
    }

    /// Its last maintenance found so many targets in the group.
    pub fn has_seen_a_fleet_of(&self, registered: usize) {
        let mut journal = self.journal();
        journal.record.fleet_seen = registered;
        journal.save().unwrap();
    }

    fn journal(&self) -> Journal {
        let opened = Journal::open(&self.settings.state_dir).unwrap();
        opened.for_instance(&self.identity.instance_id, "us-east-1").unwrap()
    }

    fn put_together(&self, journal: Journal, operation: Operation) -> Driver {
        Driver {
            journal,
            operation,
            identity: self.identity.clone(),
            load_balancer: LoadBalancer::new(self.client()),
            machine: self.machine.clone(),
            service: self.service.clone(),
            stop: self.stop.subscribe(),
            progress: Progress::hidden(),
            random: StdRng::seed_from_u64(self.seed ^ self.machine.boot.load(Ordering::Relaxed)),
            lease_seen: Instant::now(),
            out_seen: None,
        }
    }

    /// The real SDK, without sockets.
    pub fn client(&self) -> Client {
        let config = aws_sdk_elasticloadbalancingv2::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::for_tests())
            .retry_config(RetryConfig::disabled())
            .http_client(InProcess::new(self.alb.api()))
            .build();
        Client::from_conf(config)
    }

    /// Runs an operation to its end, through as many reboots as it asks for.
    pub async fn maintain(&self, request: Request) -> End {
        let mut driver = self.driver(request);
        loop {
            match self.drive(&mut driver).await {
                Some(end) => return end.unwrap(),
                None => {
                    drop(driver);
                    self.boot().await;
                    driver = self.resumed();
                }
            }
        }
    }

    /// Runs a maintenance that is expected to finish.
    pub async fn finish(&self, request: Request) -> Finished {
        finished(self.maintain(request).await)
    }

    /// Goes on from the record, as `resume` does, to the end.
    pub async fn resume(&self) -> End {
        let mut driver = self.resumed();
        loop {
            match self.drive(&mut driver).await {
                Some(end) => return end.unwrap(),
                None => {
                    drop(driver);
                    self.boot().await;
                    driver = self.resumed();
                }
            }
        }
    }

    /// Drives until the end (`Some`), or until the machine goes down (`None`).
    async fn drive(&self, driver: &mut Driver) -> Option<Result<End, DriveError>> {
        let down = self.machine.down.notified();
        tokio::select! {
            end = driver.drive() => Some(end),
            () = down => None,
        }
    }

    /// The machine goes down and comes back: the service is away for a while, the boot id is new.
    pub async fn boot(&self) {
        self.service.set(None);
        tokio::time::sleep(Duration::from_secs(30)).await;
        self.machine.boot.fetch_add(1, Ordering::Relaxed);
        *self.machine.booted.lock().unwrap() = Instant::now();
        self.service.set(Some(200));
    }

    /// Asks the agent to stop, as SIGTERM does.
    pub fn ask_to_stop(&self) {
        self.stop.send_replace(true);
    }

    /// The operation on record, while one is under way.
    pub fn operation(&self) -> Option<Operation> {
        journal::read(&self.settings.state_dir).unwrap().and_then(|record| record.operation)
    }

    /// Its phase.
    pub fn phase(&self) -> Option<node_agent::phase::Phase> {
        self.operation().map(|operation| operation.phase)
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
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(86_400), "a condition that never came to hold");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A machine whose boots the test makes.
pub struct FakeMachine {
    pub boot: AtomicU64,
    pub booted: Mutex<Instant>,
    pub down: Notify,
    /// How often somebody ran the reboot command.
    pub reboots: AtomicUsize,
    /// Whether a reboot really comes when it is asked for.
    pub obeys: std::sync::atomic::AtomicBool,
    /// How long commands take and how they end.
    pub command: Mutex<(Duration, i32)>,
    /// The commands that were begun.
    pub ran: Mutex<Vec<String>>,
    pub reboot_required: std::sync::atomic::AtomicBool,
}

impl Default for FakeMachine {
    fn default() -> FakeMachine {
        FakeMachine {
            boot: AtomicU64::new(1),
            booted: Mutex::new(Instant::now()),
            down: Notify::new(),
            reboots: AtomicUsize::new(0),
            obeys: true.into(),
            command: Mutex::new((Duration::from_secs(30), 0)),
            ran: Mutex::default(),
            reboot_required: false.into(),
        }
    }
}

#[async_trait]
impl Machine for FakeMachine {
    fn boot_id(&self) -> io::Result<String> {
        Ok(format!("boot-{}", self.boot.load(Ordering::Relaxed)))
    }

    fn uptime(&self) -> Duration {
        self.booted.lock().unwrap().elapsed()
    }

    fn utc(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.booted.lock().unwrap().elapsed()
    }

    async fn reboot(&self) -> Result<(), MachineError> {
        self.reboots.fetch_add(1, Ordering::Relaxed);
        if self.obeys.load(Ordering::Relaxed) {
            self.down.notify_waiters();
        }
        Ok(())
    }

    async fn run(
        &self,
        command: &[String],
        limit: Duration,
        grace: Duration,
        mut stop: Stop,
    ) -> Result<CommandEnd, MachineError> {
        self.ran.lock().unwrap().push(command.join(" "));
        let (takes, code) = *self.command.lock().unwrap();
        tokio::select! {
            () = tokio::time::sleep(takes) => return Ok(CommandEnd::Exited(code)),
            () = tokio::time::sleep(limit) => return Ok(CommandEnd::TimedOut),
            Ok(_) = stop.wait_for(|asked| *asked) => (),
        }
        tokio::time::sleep(grace).await;
        Ok(CommandEnd::Stopped)
    }

    async fn reboot_required(&self) -> bool {
        self.reboot_required.load(Ordering::Relaxed)
    }
}

/// A service that answers health checks with what the test says.
pub struct FakeService {
    status: Mutex<Option<u16>>,
    /// What the in-flight count says; negative: it does not answer.
    pub in_flight: std::sync::atomic::AtomicI64,
}

impl Default for FakeService {
    fn default() -> FakeService {
        FakeService { status: Mutex::new(Some(200)), in_flight: 0.into() }
    }
}

impl FakeService {
    /// `None`: it is down.
    pub fn set(&self, status: Option<u16>) {
        *self.status.lock().unwrap() = status;
    }

    fn status(&self) -> Option<u16> {
        *self.status.lock().unwrap()
    }
}

#[async_trait]
impl Service for FakeService {
    async fn probe(&self, _: &str, _: Duration) -> Result<u16, ServiceError> {
        self.status().ok_or_else(|| ServiceError("connection refused".into()))
    }

    async fn in_flight(&self, _: &str) -> Result<u64, ServiceError> {
        let count = self.in_flight.load(Ordering::Relaxed);
        u64::try_from(count).map_err(|_| ServiceError("no answer".into()))
    }
}

/// A length of time for settings.
pub fn seconds(seconds: u64) -> Length {
    Length::from_secs(seconds)
}
