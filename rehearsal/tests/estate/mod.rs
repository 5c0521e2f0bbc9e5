//! A load balancer and services on loopback, and the agent run as a program against them.

#![allow(dead_code, reason = "each test program uses its own part")]

use axum::http::StatusCode;
use local_alb::{HealthCheck, Instance, LocalAlb, TargetGroupSettings};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::Command;

/// The node whose agent is run.
pub(crate) const NODE: &str = "i-0a000000000000001";

/// A load balancer with three services, and one node with an agent.
pub(crate) struct Estate {
    pub(crate) alb: LocalAlb,
    pub(crate) arn: String,
    /// Port of the service of the node with the agent.
    pub(crate) port: u16,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) environment: BTreeMap<&'static str, String>,
    pub(crate) services: Vec<tokio::task::JoinHandle<()>>,
}

/// What one run of the program did.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// One clear message with every one of these parts, and this exit code.
    pub(crate) fn says(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        let all = format!("{}{}", self.out, self.err);
        for part in parts {
            assert!(all.contains(part), "{part:?} is missing in {self:#?}");
        }
        assert!(!all.contains("panicked"), "{self:#?}");
    }
}

/// Three healthy nodes, of which the first has an agent; short times.
pub(crate) async fn estate() -> Estate {
    let alb = LocalAlb::new(local_alb::Settings {
        propagation_lag: Duration::from_millis(100),
        keep_calls: true,
        ..Default::default()
    });
    let mut targets = Vec::new();
    let mut services = Vec::new();
    for number in 1..=3 {
        let (port, service) = service().await;
        alb.add_instance(Instance {
            id: node(number),
            address: [127, 0, 0, 1].into(),
            zone: "us-east-1a".into(),
        });
        targets.push((node(number), port));
        services.push(service);
    }
    let port = targets[0].1;
    let arn = alb.create_target_group(quick_group("web", targets)).unwrap();
    until(|| alb.instances_out(&arn) == 0).await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("config.toml"),
        format!(
            "target_groups = [\"web\"]\nstate_dir = {:?}\nboot_id_path = {:?}\ndrain_floor = \"500ms\"\nstaleness = \"100ms\"\n\
             settle = \"200ms\"\nlease_poll = \"100ms\"\nhealth_poll = \"100ms\"\nhealth_interval = \"100ms\"\nreboot_command = [\"false\"]\n",
            dir.path().join("state"),
            dir.path().join("boot_id"),
        ),
    )
    .unwrap();
    std::fs::write(dir.path().join("boot_id"), "first\n").unwrap();
    let environment = BTreeMap::from([
        ("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", serve(alb.aws().elastic_load_balancing()).await),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", serve(alb.aws().instance_metadata(NODE)).await),
        ("NODE_AGENT_CONFIG", dir.path().join("config.toml").display().to_string()),
    ]);
    Estate { alb, arn, port, dir, environment, services }
}

/// The instance id of a node, from 1.
pub(crate) fn node(number: usize) -> String {
    format!("i-0a{number:015}")
}

/// The key of a node's lease, from 1.
pub(crate) fn lease_key(number: usize) -> String {
    format!("node-agent/lease/{}", node(number))
}

/// A group that checks health and drains fast.
pub(crate) fn quick_group(name: &str, targets: Vec<(String, u16)>) -> TargetGroupSettings {
    TargetGroupSettings {
        name: name.into(),
        // The first node's. An Auto Scaling group registers an instance again on this one.
        port: targets.first().map_or(8080, |(_, port)| *port),
        targets,
        health_check: HealthCheck { interval: Duration::from_millis(200), ..HealthCheck::default() },
        attributes: [("deregistration_delay.timeout_seconds".to_owned(), "1".to_owned())].into(),
        ..TargetGroupSettings::default()
    }
}

/// A healthy service: its port, and what keeps it up.
pub(crate) async fn service() -> (u16, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let service = tokio::spawn(async move {
        let app = hello_service::app(&hello_service::Settings::default());
        let _ = local_alb::serve(listener, app, std::future::pending()).await;
    });
    (port, service)
}

/// Waits for a condition, a minute at most.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let begun = tokio::time::Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(60), "a condition that never came to hold");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// No run takes longer, whatever else the machine does.
const LIMIT: Duration = Duration::from_secs(180);

/// Runs the program with nothing of our own environment.
pub(crate) async fn run(environment: &BTreeMap<&'static str, String>, args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rehearsal"));
    command.arg("node-agent").args(args).env_clear().envs(environment).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Puts a router on a socket and returns its URL.
pub(crate) async fn serve(router: axum::Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { local_alb::serve(listener, router, std::future::pending()).await });
    url
}

/// A service that falls sick while the node is out: it passes the check before leaving, and no other until it is cured.
/// Its URL, and how it is cured.
pub(crate) async fn falls_sick() -> (String, Arc<AtomicBool>) {
    let (asked, cured) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let cure = cured.clone();
    let answer = axum::routing::get(move || {
        let well = !asked.swap(true, Ordering::Relaxed) || cured.load(Ordering::Relaxed);
        async move { if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE } }
    });
    let url = serve(axum::Router::new().route("/healthz", answer)).await;
    (format!("{url}/healthz"), cure)
}

impl Estate {
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Estate {
        self.environment.insert(name, value.to_owned());
        self
    }

    pub(crate) fn configured(self, line: &str) -> Estate {
        let path = self.dir.path().join("config.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{text}{line}\n")).unwrap();
        self
    }

    pub(crate) fn configured_instead(self, line: &str, instead: &str) -> Estate {
        let path = self.dir.path().join("config.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(line), "{text}");
        std::fs::write(path, text.replace(line, instead)).unwrap();
        self
    }

    /// On an operator's machine: no instance id, no instance profile.
    pub(crate) fn on_a_laptop(self) -> Estate {
        self.with("AWS_EC2_METADATA_DISABLED", "true")
            .with("AWS_REGION", "us-east-1")
            .with("AWS_ACCESS_KEY_ID", "x")
            .with("AWS_SECRET_ACCESS_KEY", "y")
    }

    /// Sets the lease tag of a node, from 1.
    pub(crate) fn lease(self, number: usize, value: &str) -> Estate {
        self.alb.set_tag(&self.arn, &lease_key(number), value);
        self
    }

    /// The lease tag of a node, from 1.
    pub(crate) fn lease_of(&self, number: usize) -> Option<String> {
        self.alb.tags(&self.arn).remove(&lease_key(number))
    }

    pub(crate) async fn agent(&self, args: &[&str]) -> Run {
        run(&self.environment, args).await
    }

    pub(crate) fn record(&self) -> PathBuf {
        self.dir.path().join("state/record.json")
    }

    /// The node is in service, nobody holds a lease, no call has changed anything.
    pub(crate) fn is_untouched(&self) {
        assert_eq!(self.alb.instances_out(&self.arn), 0);
        assert_eq!(self.alb.tags(&self.arn), BTreeMap::new());
        let calls = self.alb.calls();
        let changes = calls.iter().filter(|call| !call.action.starts_with("Describe"));
        assert_eq!(changes.count(), 0);
    }
}
