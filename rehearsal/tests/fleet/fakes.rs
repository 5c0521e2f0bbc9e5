//! The machine and the service of a node, made by the test.

use async_trait::async_trait;
use axum::http::Uri;
use jiff::Timestamp;
use node_agent::machine::ports::{
    CommandEnd, CommandEnded, Machine, MachineError, Probe, Service, ServiceError, Stop,
};
use node_agent::machine::reboot_required::RebootRequired;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What a machine was just told, for tests that stop the driver right there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    CommandBegun,
    CommandEnded,
    BeforeReboot,
    AfterReboot,
}

/// Who hears it.
pub type Listener = Arc<dyn Fn(Told) + Send + Sync>;

/// A machine whose boots the test makes.
pub struct FakeMachine {
    pub boot: AtomicU64,
    pub booted: Mutex<Instant>,
    pub down: Notify,
    /// How often somebody ran the reboot command.
    pub reboots: AtomicUsize,
    /// Whether a requested reboot happens.
    pub obeys: AtomicBool,
    /// Whether the reboot command fails.
    pub refuses: AtomicBool,
    /// How long commands take and how they end.
    pub command: Mutex<(Duration, i32)>,
    /// The commands that were begun.
    pub ran: Mutex<Vec<String>>,
    /// The scopes in which they were started, and those that were ended.
    pub scopes: Mutex<Vec<String>>,
    pub ended_scopes: Mutex<Vec<String>>,
    pub reboot_required: AtomicBool,
    /// A program that does not exist.
    pub lacks: Mutex<Option<String>>,
    /// When logind is to shut it down.
    pub scheduled: Mutex<Option<Timestamp>>,
    /// `notify_command` hangs until its time is up.
    pub nobody_is_told: AtomicBool,
    /// What people were told.
    pub notified: Mutex<Vec<String>>,
    /// Called at everything that it is told.
    pub told: Mutex<Option<Listener>>,
}

impl FakeMachine {
    fn tell(&self, told: Told) {
        let listener = self.told.lock().unwrap().clone();
        if let Some(listener) = listener {
            listener(told);
        }
    }
}

impl Default for FakeMachine {
    fn default() -> FakeMachine {
        FakeMachine {
            boot: AtomicU64::new(1),
            booted: Mutex::new(Instant::now()),
            down: Notify::new(),
            reboots: AtomicUsize::new(0),
            obeys: true.into(),
            refuses: false.into(),
            command: Mutex::new((Duration::from_secs(30), 0)),
            ran: Mutex::default(),
            scopes: Mutex::default(),
            ended_scopes: Mutex::default(),
            reboot_required: false.into(),
            lacks: Mutex::default(),
            scheduled: Mutex::default(),
            notified: Mutex::default(),
            nobody_is_told: false.into(),
            told: Mutex::default(),
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
        self.tell(Told::BeforeReboot);
        self.reboots.fetch_add(1, Ordering::Relaxed);
        if self.refuses.load(Ordering::Relaxed) {
            return Err(MachineError {
                what: "reboot with `systemctl reboot`".into(),
                cause: "exit status: 1".into(),
            });
        }
        if self.obeys.load(Ordering::Relaxed) {
            self.down.notify_waiters();
        }
        self.tell(Told::AfterReboot);
        Ok(())
    }

    async fn run(
        &self,
        command: &[String],
        scope: Option<&str>,
        limit: Duration,
        grace: Duration,
        stop: Stop,
    ) -> Result<CommandEnded, MachineError> {
        let ended = |how| Ok(CommandEnded { how, last_lines: String::new() });
        self.ran.lock().unwrap().push(command.join(" "));
        self.scopes.lock().unwrap().extend(scope.map(ToOwned::to_owned));
        self.tell(Told::CommandBegun);
        let (takes, code) = *self.command.lock().unwrap();
        tokio::select! {
            () = tokio::time::sleep(takes) => {
                self.tell(Told::CommandEnded);
                return ended(CommandEnd::Exited(code));
            }
            () = tokio::time::sleep(limit) => return ended(CommandEnd::TimedOut),
            () = stop.cancelled() => (),
        }
        tokio::time::sleep(grace).await;
        ended(CommandEnd::Stopped)
    }

    async fn end_scope(&self, scope: &str) {
        self.ended_scopes.lock().unwrap().push(scope.to_owned());
    }

    async fn tell(&self, _: &[String], message: &str, limit: Duration) -> Result<(), MachineError> {
        self.notified.lock().unwrap().push(message.to_owned());
        if !self.nobody_is_told.load(Ordering::Relaxed) {
            return Ok(());
        }
        tokio::time::sleep(limit).await;
        let cause = format!("timed out after {} s and was stopped", limit.as_secs());
        Err(MachineError { what: "notify with `tell`".into(), cause })
    }

    async fn reboot_required(&self) -> RebootRequired {
        match self.reboot_required.load(Ordering::Relaxed) {
            true => RebootRequired::Yes("the test says so".into()),
            false => RebootRequired::No,
        }
    }

    fn lacks(&self, command: &[String]) -> Option<String> {
        command.first().filter(|name| self.lacks.lock().unwrap().as_ref() == Some(name)).cloned()
    }

    fn scheduled_shutdown(&self) -> Option<Timestamp> {
        *self.scheduled.lock().unwrap()
    }
}

/// A service that answers health checks with what the test says.
pub struct FakeService {
    status: Mutex<Option<u16>>,
    /// Ports that answer otherwise.
    ports: Mutex<BTreeMap<u16, Option<u16>>>,
    /// What the node itself gets, where it is not what the load balancer gets.
    local: Mutex<Option<Option<u16>>>,
    /// The URLs of the node's own checks.
    asked: Mutex<Vec<String>>,
    /// What the in-flight count says; negative: it does not answer.
    pub in_flight: AtomicI64,
}

impl Default for FakeService {
    fn default() -> FakeService {
        FakeService {
            status: Mutex::new(Some(200)),
            ports: Mutex::default(),
            local: Mutex::default(),
            asked: Mutex::default(),
            in_flight: 0.into(),
        }
    }
}

impl FakeService {
    /// `None`: it is down.
    pub fn set(&self, status: Option<u16>) {
        *self.status.lock().unwrap() = status;
    }

    /// The node itself gets another answer than the load balancer: a firewall, a wrong address.
    pub fn answers_the_node(&self, status: Option<u16>) {
        *self.local.lock().unwrap() = Some(status);
    }

    /// The URLs of the node's own checks so far.
    pub fn urls(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// The node gets what the load balancer gets.
    pub fn answers_all_alike(&self) {
        *self.local.lock().unwrap() = None;
    }

    /// One port answers otherwise from now on.
    pub fn set_port(&self, port: u16, status: Option<u16>) {
        self.ports.lock().unwrap().insert(port, status);
    }

    pub fn status_of(&self, port: u16) -> Option<u16> {
        let of_port = self.ports.lock().unwrap().get(&port).copied();
        of_port.unwrap_or_else(|| *self.status.lock().unwrap())
    }
}

#[async_trait]
impl Service for FakeService {
    async fn probe(&self, probe: &Probe) -> Result<u16, ServiceError> {
        self.asked.lock().unwrap().push(probe.url.clone());
        let port = probe.url.parse::<Uri>().ok().and_then(|uri| uri.port_u16()).unwrap_or_default();
        let local = *self.local.lock().unwrap();
        local.unwrap_or_else(|| self.status_of(port)).ok_or_else(|| ServiceError("connection refused".into()))
    }

    async fn in_flight(&self, _: &str) -> Result<u64, ServiceError> {
        let count = self.in_flight.load(Ordering::Relaxed);
        u64::try_from(count).map_err(|_| ServiceError("no answer".into()))
    }
}
