//! One node, and the drivers that run on it.

use super::fakes::{FakeMachine, FakeService};
use super::{finished, until};
use aws_config::provider_config::ProviderConfig;
use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::config::retry::RetryConfig;
use aws_sdk_elasticloadbalancingv2::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use local_alb::LocalAlb;
use local_alb::in_process::InProcess;
use node_agent::agent::lost_record::{self, Known, LostRecordError};
use node_agent::aws::auto_scaling::AutoScalingGroups;
use node_agent::aws::instance_metadata::{Addresses, Identity, metadata};
use node_agent::aws::load_balancer::LoadBalancer;
use node_agent::machine::ports::{Machine, Stop};
use node_agent::machine::systemd::GoingDown;
use node_agent::machine::time::Moment;
use node_agent::maintenance::before_shutdown;
use node_agent::maintenance::context::{DriveError, Driver, End};
use node_agent::maintenance::progress::Progress;
use node_agent::record::disk::Disk;
use node_agent::record::journal::{self, Journal};
use node_agent::record::mailbox::Requests;
use node_agent::record::phase::{Event, Phase};
use node_agent::record::{Finished, Operation, RebootWhen, Request};
use node_agent::settings::Settings;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// One node: what outlives its agent's process.
#[derive(Clone)]
pub struct Node {
    pub identity: Identity,
    /// How the group calls it.
    pub target_id: String,
    pub machine: Arc<FakeMachine>,
    pub service: Arc<FakeService>,
    pub settings: Settings,
    /// Its way to the API, when it is not the plain one.
    pub http: Option<SharedHttpClient>,
    /// Where its record is written.
    pub disk: Arc<dyn Disk>,
    pub(super) alb: LocalAlb,
    pub(super) seed: u64,
    pub(super) stop: Stop,
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
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Request { reboot, command, ..Request::new(format!("{:016x}", self.seed), self.settings.clone()) }
    }

    /// A driver for a new operation.
    pub fn driver(&self, request: Request) -> Driver {
        let journal = self.journal();
        let now = (&*self.machine as &dyn Machine).now().unwrap();
        self.put_together(journal, Operation::new(request, now))
    }

    /// A driver for a new operation in a process that stays: node-agent.service.
    pub fn unit(&self, request: Request) -> Driver {
        let mut driver = self.driver(request);
        driver.stays = true;
        driver.requests = Some(Requests::beside(&self.settings.state_dir));
        driver
    }

    /// A driver that goes on from the record, as node-agent.service does when it is started again.
    pub fn restarted(&self) -> Driver {
        let mut journal = self.journal();
        let now = (&*self.machine as &dyn Machine).now().unwrap();
        let mut operation = journal.record.operation.take().expect("something to resume");
        operation.apply_restart(&now).unwrap();
        self.put_together(journal, operation)
    }

    /// A driver that goes on because a person wants the node back, by `rejoin` or by `resume`.
    pub fn wanted_back(&self) -> Driver {
        let mut driver = self.restarted();
        let now = (&*self.machine as &dyn Machine).now().unwrap();
        driver.operation.apply(Event::WantedBack, &now).unwrap();
        driver
    }

    /// A driver for a lease of this node that is not on record, as `resume` makes it.
    pub async fn lost(&self) -> Result<Option<Driver>, LostRecordError> {
        let journal = self.journal();
        let now = (&*self.machine as &dyn Machine).now().unwrap();
        let known = Known {
            identity: &self.identity,
            settings: &self.settings,
            now: &now,
            record_missing: journal.is_new(),
        };
        let found = lost_record::find(&LoadBalancer::new(self.client()), known).await?;
        Ok(found.map(|operation| self.put_together(journal, operation)))
    }

    /// Leaves before the machine goes down, as the guard does, however far a maintenance on record is.
    pub async fn leave_before(&self, how: GoingDown) -> Operation {
        let mut journal = self.journal();
        let now = (&*self.machine as &dyn Machine).now().unwrap();
        let on_record = journal.record.operation.take();
        let operation = before_shutdown::begin(on_record, &self.settings, how, now);
        let mut driver = self.put_together(journal, operation);
        driver.leave_before(how, &self.settings).await.unwrap();
        driver.operation
    }

    /// Its last maintenance found so many targets in the group.
    pub fn has_seen_a_fleet_of(&self, registered: usize) {
        let mut journal = self.journal();
        journal.record.fleet_seen = registered;
        journal.save().unwrap();
    }

    pub fn journal(&self) -> Journal {
        let opened = Journal::open(&self.settings.state_dir).unwrap();
        let mut journal =
            opened.for_instance(&self.identity.instance_id, "us-east-1").unwrap().on(self.disk.clone());
        let now = (&*self.machine as &dyn Machine).now().unwrap();
        journal.assume_calls_in_doubt(Moment { uptime_ms: 0, ..now });
        journal
    }

    fn put_together(&self, journal: Journal, operation: Operation) -> Driver {
        Driver {
            journal,
            operation,
            identity: self.identity.clone(),
            addresses: self.addresses(),
            load_balancer: LoadBalancer::new(self.client()),
            auto_scaling: self.auto_scaling(),
            machine: self.machine.clone(),
            service: self.service.clone(),
            stop: self.stop.clone(),
            requests: None,
            stays: false,
            turn_back: None,
            progress: Progress::hidden(),
            random: StdRng::seed_from_u64(self.seed ^ self.machine.boot.load(Ordering::Relaxed)),
            lease_seen: Instant::now(),
            out_seen: None,
            registered_told: None,
            failing: None,
            validated: None,
        }
    }

    /// Its addresses, from its metadata service.
    fn addresses(&self) -> Addresses {
        let imds = InProcess::new(self.alb.aws().instance_metadata(&self.identity.instance_id));
        let http = ProviderConfig::without_region().with_http_client(SharedHttpClient::new(imds));
        Addresses::by(metadata().configure(&http))
    }

    /// The same for the API of its Auto Scaling group.
    fn auto_scaling(&self) -> AutoScalingGroups {
        let http = SharedHttpClient::new(InProcess::new(self.alb.aws().auto_scaling()));
        AutoScalingGroups::when_needed(move || {
            let config = aws_sdk_autoscaling::Config::builder()
                .behavior_version(aws_sdk_autoscaling::config::BehaviorVersion::v2026_01_12())
                .region(aws_sdk_autoscaling::config::Region::new("us-east-1"))
                .credentials_provider(Credentials::for_tests())
                .retry_config(RetryConfig::disabled())
                .http_client(http.clone())
                .build();
            async move { aws_sdk_autoscaling::Client::from_conf(config) }
        })
    }

    /// The real SDK, without sockets.
    pub fn client(&self) -> Client {
        let config = aws_sdk_elasticloadbalancingv2::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::for_tests())
            .retry_config(RetryConfig::disabled())
            .http_client(self.http.clone().unwrap_or_else(|| {
                SharedHttpClient::new(InProcess::new(self.alb.aws().elastic_load_balancing()))
            }))
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
                    driver = self.restarted();
                }
            }
        }
    }

    /// Runs a maintenance that is expected to finish.
    pub async fn finish(&self, request: Request) -> Finished {
        finished(self.maintain(request).await)
    }

    /// Runs a maintenance in the background that has come this far.
    pub async fn begun(&self, request: Request, phase: Phase) -> JoinHandle<End> {
        let node = self.clone();
        let running = tokio::task::spawn_local(async move { node.maintain(request).await });
        until(|| self.phase() == Some(phase)).await;
        running
    }

    /// Goes on from the record, as a person's `resume` does, to the end.
    pub async fn resume(&self) -> End {
        let mut driver = self.wanted_back();
        loop {
            match self.drive(&mut driver).await {
                Some(end) => return end.unwrap(),
                None => {
                    drop(driver);
                    self.boot().await;
                    driver = self.restarted();
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
        *self.machine.scheduled.lock().unwrap() = None;
        *self.machine.booted.lock().unwrap() = Instant::now();
        self.service.set(Some(200));
    }

    /// Somebody runs `shutdown -r`: the machine is to go down after this long.
    pub fn schedule_shutdown(&self, after: Duration) {
        *self.machine.scheduled.lock().unwrap() = Some(self.machine.utc() + after);
    }

    /// Somebody runs `shutdown -c`.
    pub fn cancel_shutdown(&self) {
        *self.machine.scheduled.lock().unwrap() = None;
    }

    /// Asks the agent to stop, as SIGTERM does.
    pub fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    /// Whether the load balancer sends it requests through this group.
    pub fn serves(&self, arn: &str) -> bool {
        let targets = self.alb.targets(arn).into_iter().filter(|target| target.id == self.target_id);
        targets.into_iter().any(|target| target.state == local_alb::TargetHealth::Healthy)
    }

    /// The operation on record, while one is under way.
    pub fn operation(&self) -> Option<Operation> {
        journal::read(&self.settings.state_dir).unwrap().and_then(|record| record.operation)
    }

    /// Its phase.
    pub fn phase(&self) -> Option<Phase> {
        self.operation().map(|operation| operation.phase)
    }
}
