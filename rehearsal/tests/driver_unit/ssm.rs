//! The stand-in for the SSM agent on the machine of these tests.

use crate::estate::until;
use crate::ssm_agent::{Agent, Command, Delivery};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Mutex;

/// The agent's unit.
pub(crate) struct SsmAgent {
    agent: Agent,
    boot_id: PathBuf,
    path: String,
    /// In the environment of all of its processes.
    invocation: String,
    main: Mutex<Option<(Child, Delivery)>>,
}

impl SsmAgent {
    /// Installed, but not started.
    pub(crate) fn on(machine: &Path, path: &str) -> SsmAgent {
        let dir = machine.join("ssm");
        let agent = Agent { outside: dir.clone(), inside: dir };
        agent.install();
        SsmAgent {
            agent,
            boot_id: machine.join("boot_id"),
            path: path.to_owned(),
            invocation: format!("INVOCATION_ID={:032x}", rand::random::<u128>()),
            main: Mutex::new(None),
        }
    }

    /// Starts the agent.
    pub(crate) async fn start(&self, delivery: Delivery) {
        let dir = &self.agent.outside;
        let _ = std::fs::remove_file(dir.join("started"));
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let mut agent = std::process::Command::new("setsid");
        agent.arg("sh").arg(dir.join("agent.sh")).arg(dir).arg(delivery.name());
        let (name, id) = self.invocation.split_once('=').unwrap();
        agent.env_clear().env("PATH", &self.path).env("BOOT_ID", &self.boot_id).env(name, id);
        agent.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        *self.main.lock().unwrap() = Some((agent.spawn().unwrap(), delivery));
        until(|| dir.join("started").exists()).await;
    }

    /// Stops the agent as systemd does (KillMode=process): its scripts go on. Returns how it was delivered to, if it ran.
    pub(crate) fn stop(&self) -> Option<Delivery> {
        let (mut main, delivery) = self.main.lock().unwrap().take()?;
        let id = Pid::from_raw(i32::try_from(main.id()).unwrap()).unwrap();
        kill_process(id, Signal::TERM).unwrap();
        main.wait().unwrap();
        Some(delivery)
    }

    /// The machine is down: its scripts are dead.
    pub(crate) async fn dies(&self) -> Option<Delivery> {
        let delivery = self.stop();
        until(|| self.kill_all() == 0).await;
        delivery
    }

    pub(crate) fn send(&self, id: &str, run: &str, script: &str) -> Command {
        self.agent.send(id, run, script)
    }

    /// Sends SIGKILL to whatever runs in the agent's unit, and says how many there were.
    fn kill_all(&self) -> usize {
        let mut killed = 0;
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(id) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
            if environment.split(|byte| *byte == 0).any(|variable| variable == self.invocation.as_bytes()) {
                killed += 1;
                let _ = kill_process(Pid::from_raw(id).unwrap(), Signal::KILL);
            }
        }
        killed
    }
}

impl Drop for SsmAgent {
    fn drop(&mut self) {
        self.stop();
        self.kill_all();
    }
}

/// A cancel, or a time-out: SIGKILL to the script's process group.
pub(crate) fn cancel(command: &Command) {
    kill_process_group(Pid::from_raw(command.leader().unwrap()).unwrap(), Signal::KILL).unwrap();
}
