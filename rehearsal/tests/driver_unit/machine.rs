//! A machine with a stand-in for systemd: one driver unit, in a session of its own, restarted when it fails.

use crate::estate::{Estate, NODE, Run, estate, until};
use node_agent::record::journal;
use node_agent::record::phase::Phase;
use node_agent::record::{Finished, Operation, Record};
use rustix::process::{Pid, Signal, kill_process_group};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::process::{Child, Command};

/// One node on which node-agent is installed.
pub(crate) struct Machine {
    pub(crate) estate: Estate,
    boots: AtomicU32,
}

/// What `systemctl start` is here: it returns at once, and a driver that runs is left alone.
const START: &str = "#!/bin/sh\nsetsid -f sh \"$(dirname \"$0\")/unit\" >/dev/null 2>&1\n";

/// `Restart=on-failure`. The lock makes it one unit, and its number names the session.
fn unit(program: &str) -> String {
    format!(
        "cd \"$(dirname \"$0\")\" || exit 1\nexec 9>unit.lock\nflock -n 9 || exit 0\necho $$ >unit.pid\n\
         until {program} node-agent resume --stay 2>>driver.log 9>&-; do sleep 0.1; done\n"
    )
}

/// A node in service, with short times.
pub(crate) async fn machine() -> Machine {
    machine_with(|estate| estate).await
}

/// With other settings.
pub(crate) async fn machine_with(change: impl FnOnce(Estate) -> Estate) -> Machine {
    let estate = estate().await;
    let dir = estate.dir.path().to_owned();
    std::fs::write(dir.join("start"), START).unwrap();
    std::fs::write(dir.join("unit"), unit(env!("CARGO_BIN_EXE_rehearsal"))).unwrap();
    let start = format!("start_driver = [\"sh\", {:?}]", dir.join("start"));
    Machine { estate: change(estate.configured(&start)), boots: AtomicU32::new(1) }
}

impl Machine {
    /// The program, as somebody calls it, in a process group of its own.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rehearsal"));
        command.arg("node-agent").args(args).env_clear().envs(&self.estate.environment);
        command.process_group(0).kill_on_drop(true).stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) async fn agent(&self, args: &[&str]) -> Run {
        self.estate.agent(args).await
    }

    /// One of its files.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.estate.dir.path().join(name)
    }

    pub(crate) fn record(&self) -> Option<Record> {
        journal::read(&self.file("state")).unwrap()
    }

    pub(crate) fn operation(&self) -> Option<Operation> {
        self.record()?.operation
    }

    pub(crate) fn phase(&self) -> Option<Phase> {
        self.operation().map(|operation| operation.phase)
    }

    /// How the maintenances ended, oldest first.
    pub(crate) fn finished(&self) -> Vec<Finished> {
        self.record().map(|record| record.finished).unwrap_or_default()
    }

    pub(crate) async fn until_at(&self, phase: Phase) {
        until(|| self.phase() == Some(phase)).await;
    }

    pub(crate) async fn until_finished(&self, count: usize) {
        until(|| self.finished().len() >= count).await;
    }

    /// Kills the driver and whatever it runs; the unit starts it again.
    pub(crate) fn kill_driver(&self) {
        let killed = std::process::Command::new("pkill")
            .args(["-KILL", "-f", "node-agent resume --stay", "-g"])
            .arg(self.unit_group().as_raw_nonzero().to_string())
            .status();
        assert!(killed.unwrap().success());
    }

    fn unit_group(&self) -> Pid {
        let id = std::fs::read_to_string(self.file("unit.pid")).unwrap();
        Pid::from_raw(id.trim().parse().unwrap()).unwrap()
    }

    /// All of its processes die, the boot id is new, and the unit is started at boot.
    pub(crate) async fn reboot(&self) {
        // Whoever follows may start the unit once more before the machine is down.
        until(|| {
            let _ = kill_process_group(self.unit_group(), Signal::KILL);
            !journal::is_driven(&self.file("state"))
        })
        .await;
        let boot = self.boots.fetch_add(1, Ordering::Relaxed);
        std::fs::write(self.file("boot_id"), format!("boot-{boot}\n")).unwrap();
        self.start_unit().await;
    }

    /// As at boot.
    pub(crate) async fn start_unit(&self) {
        let mut start = Command::new("sh");
        start.arg(self.file("start")).env_clear().envs(&self.estate.environment);
        assert!(start.status().await.unwrap().success());
    }

    /// A command that leaves a line in a file each time it runs, and takes a while.
    pub(crate) fn counting(&self, seconds: &str) -> Vec<String> {
        let script = format!("echo run >>{}; sleep {seconds}", self.file("runs").display());
        ["sh", "-c", &script].map(str::to_owned).to_vec()
    }

    /// How often it ran.
    pub(crate) fn runs(&self) -> usize {
        std::fs::read_to_string(self.file("runs")).unwrap_or_default().lines().count()
    }

    /// In service with its own port, and nobody holds a lease.
    pub(crate) fn assert_restored(&self) {
        assert_eq!(self.estate.alb.instances_out(&self.estate.arn), 0, "{}", self.log());
        assert_eq!(self.estate.lease_of(1), None, "{}", self.log());
        let own = self.estate.alb.targets(&self.estate.arn).into_iter().filter(|target| target.id == NODE);
        assert_eq!(own.count(), 1);
    }

    /// What the driver logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.file("driver.log")).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.file("unit.pid").exists() {
            let _ = kill_process_group(self.unit_group(), Signal::KILL);
        }
    }
}

/// Ends a process as a terminal or a person would.
pub(crate) fn signal(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id().unwrap()).unwrap();
    rustix::process::kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
}
