//! One node and a maintenance of it that stays in the phase in which the terminal is to be closed.

use crate::estate::{NODE, lease_key, serve, until};
use crate::gate::Gate;
use crate::machine::{Machine, machine_with};
use crate::pty::OnTerminal;
use axum::Router;
use axum::routing::get;
use local_alb::TargetHealth;
use node_agent::record::Finished;
use node_agent::record::phase::Phase;
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::process::{Child, Command};

/// No maintenance takes longer, whatever else the machine does.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// How a program ends, in time.
pub(crate) async fn ended(child: &mut Child) -> ExitStatus {
    tokio::time::timeout(LIMIT, child.wait()).await.expect("it does not end").unwrap()
}

/// Who drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drives {
    ThisProcess,
    Unit,
}

pub(crate) struct Stage {
    pub(crate) machine: Machine,
    pub(crate) drives: Drives,
    at: Phase,
    gate: Gate,
}

/// Changes a setting, or adds it.
fn configure(machine: &Machine, line: &str) {
    let (name, file) = (line.split(" = ").next(), machine.file("config.toml"));
    let text = std::fs::read_to_string(&file).unwrap();
    let others = text.lines().filter(|other| other.split(" = ").next() != name);
    let lines: Vec<_> = others.chain([line]).collect();
    std::fs::write(file, lines.join("\n")).unwrap();
}

impl Stage {
    pub(crate) async fn new(at: Phase, drives: Drives) -> Stage {
        let mut machine = machine_with(|estate| {
            let reboot = format!("echo asked >> {}", estate.dir.path().join("reboots").display());
            let estate = estate.configured_instead("[\"false\"]", &format!("[\"sh\", \"-c\", {reboot:?}]"));
            // Turned back at once it does not matter how long it would take; a driver that goes on has to get through.
            let slow = drives == Drives::ThisProcess && at == Phase::Drain;
            let floor = if slow { "60s" } else { "200ms" };
            let estate =
                estate.configured("quarantine = \"2s\"\napi_timeout = \"1900ms\"\nhealth_passes = 1");
            estate.configured_instead("drain_floor = \"500ms\"", &format!("drain_floor = \"{floor}\""))
        })
        .await;
        let gate = Gate::new(at, machine.file("state"));
        let healthy = gate.before(Router::new().route("/healthz", get(|| async {})));
        configure(&machine, &format!("health_url = \"{}/healthz\"", serve(healthy).await));
        if drives == Drives::ThisProcess {
            configure(&machine, "start_driver = []");
        }
        let api = serve(gate.before(machine.estate.alb.aws().elastic_load_balancing())).await;
        machine.set("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", api);
        let stage = Stage { machine, drives, at, gate };
        stage.block().await;
        stage
    }

    /// What keeps a node in service waits outside of it.
    async fn block(&self) {
        let estate = &self.machine.estate;
        match self.at {
            Phase::CheckGroup => {
                estate.services[1].abort();
                until(|| estate.alb.instances_out(&estate.arn) == 1).await;
            }
            Phase::AcquireLease => {
                estate.alb.set_tag(&estate.arn, &lease_key(2), "v1 p=held e=1 k=1");
            }
            _ => (),
        }
    }

    /// The maintenance: its command ends when it may. Only where the terminal is closed in the reboot there is one: whoever
    /// comes back from it is another process.
    pub(crate) fn maintain(&self) -> Command {
        let dir = self.machine.estate.dir.path().display();
        let script = format!(
            "cd {dir} && echo >> began && while [ -e began ] && [ ! -e may_end ]; do sleep 0.05; done; echo >> ended"
        );
        let reboot: &[&str] = if self.at == Phase::Reboot { &["--reboot"] } else { &[] };
        if self.at != Phase::RunCommand {
            self.let_the_command_end();
        }
        self.machine.command(&[&["maintain"], reboot, &["--", "sh", "-c", &script]].concat())
    }

    pub(crate) fn let_the_command_end(&self) {
        std::fs::write(self.machine.file("may_end"), "").unwrap();
    }

    pub(crate) async fn is_reached(&self) {
        // The record says what is about to be begun; here it has begun.
        let has_begun = || match self.at {
            Phase::RunCommand => self.lines("began") == 1,
            Phase::Reboot => self.lines("reboots") == 1,
            _ => true,
        };
        until(|| self.gate.is_reached() && has_begun()).await;
    }

    /// Closes the terminal there, and plays what the machine does then. Returns what the maintenance ended with.
    pub(crate) async fn close(&self, program: &mut OnTerminal) -> Option<i32> {
        self.is_reached().await;
        program.close();
        self.gate.open();
        match (self.drives, self.at) {
            (Drives::Unit, Phase::RunCommand) => self.let_the_command_end(),
            (_, Phase::Reboot) => return self.reboot(program).await,
            _ => (),
        }
        program.child.wait().await.unwrap().code()
    }

    /// The machine goes down with the process on the terminal. The unit continues by itself, or else a person does.
    async fn reboot(&self, program: &mut OnTerminal) -> Option<i32> {
        program.child.kill().await.unwrap();
        let status = program.child.wait().await.unwrap();
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "it was there until the machine went down");
        if self.drives == Drives::ThisProcess {
            std::fs::write(self.machine.file("boot_id"), "second\n").unwrap();
            return self.machine.agent(&["resume"]).await.code;
        }
        self.machine.reboot().await;
        self.machine.until_finished(1).await;
        Some(i32::from(self.machine.finished()[0].exit_code))
    }

    /// How many lines the command or the reboot has left.
    pub(crate) fn lines(&self, name: &str) -> usize {
        std::fs::read_to_string(self.machine.file(name)).map_or(0, |text| text.lines().count())
    }

    /// The one maintenance on record, which is over.
    pub(crate) fn finished(&self) -> Finished {
        assert_eq!(self.machine.operation(), None, "{}", self.machine.log());
        let finished = self.machine.finished();
        assert_eq!(finished.len(), 1, "{finished:?}");
        finished[0].clone()
    }

    /// Whether the node was sent no more requests for a while.
    pub(crate) fn was_out(&self) -> bool {
        self.machine.estate.alb.calls().iter().any(|call| call.action == "DeregisterTargets")
    }

    /// Its own target is healthy: in service, and once.
    pub(crate) async fn is_in_service(&self) {
        let estate = &self.machine.estate;
        until(|| {
            let own = estate.alb.targets(&estate.arn).into_iter().filter(|target| target.id == NODE);
            own.map(|own| own.state).eq([TargetHealth::Healthy])
        })
        .await;
    }
}
