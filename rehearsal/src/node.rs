//! A node: its processes, and its reboots.

use std::{io, process::ExitStatus, time::Duration};

use anyhow::Context;
use tokio::{net::TcpStream, process::Command, sync::watch, time::Instant};

use crate::{
    agent,
    place::Place,
    process::{Process, this_program},
    switched_off::SwitchedOff,
};

/// Polling interval.
const POLL: Duration = Duration::from_millis(50);

/// The activity of a node, as seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    Serving,
    Rebooting,
    Starting,
}

/// An event in the life of a node's agent.
#[derive(Debug)]
pub(crate) enum AgentEvent {
    RebootRequested,
    Halted,
    Exited(ExitStatus),
}

/// One reboot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reboot {
    /// When all processes of the node were killed.
    pub killed: Instant,
    /// When the service was started.
    pub started: Instant,
    /// When the service first accepted a connection.
    pub answering: Option<Instant>,
}

/// A node. Its processes are killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Node {
    pub place: Place,
    pub reboots: Vec<Reboot>,
    reboot_time: Duration,
    activity: watch::Sender<Activity>,
    first_boot_id: String,
    service: Option<Process>,
    agent: Option<Process>,
}

impl Node {
    /// Boots a node for the first time: writes its files and starts its service.
    pub(crate) fn boot(place: Place, reboot_time: Duration) -> anyhow::Result<Self> {
        let activity = watch::Sender::new(Activity::Starting);
        let mut node = Self {
            first_boot_id: new_boot_id(),
            place,
            reboot_time,
            activity,
            reboots: Vec::new(),
            service: None,
            agent: None,
        };
        std::fs::create_dir_all(node.place.state_dir())
            .with_context(|| format!("failed to create {}", node.place.state_dir().display()))?;
        agent::write_settings(&node.place)
            .with_context(|| format!("failed to write the agent's settings for {}", node.place.name))?;
        node.write_boot_id(&node.first_boot_id)?;
        node.start_service()?;
        Ok(node)
    }

    pub(crate) fn activity(&self) -> watch::Receiver<Activity> {
        self.activity.subscribe()
    }

    /// Kills all processes of the node. After the reboot time, gives it a new boot id and starts its service. While the
    /// machine shuts down, a quarter of the time, and while it boots, the last quarter, connections are refused. In between
    /// it is off, and packets to it are lost.
    pub(crate) async fn reboot(&mut self) -> anyhow::Result<()> {
        let killed = Instant::now();
        self.activity.send_replace(Activity::Rebooting);
        for process in [self.service.take(), self.agent.take()].into_iter().flatten() {
            process
                .kill()
                .await
                .with_context(|| format!("failed to kill a process of {}", self.place.name))?;
        }
        tokio::time::sleep(self.reboot_time / 4).await;
        let off = SwitchedOff::at(self.place.service())
            .await
            .with_context(|| format!("failed to switch off {}", self.place.name))?;
        tokio::time::sleep(self.reboot_time / 2).await;
        drop(off);
        tokio::time::sleep(self.reboot_time / 4).await;
        self.write_boot_id(&new_boot_id())?;
        self.start_service()?;
        self.reboots.push(Reboot { killed, started: Instant::now(), answering: None });
        self.activity.send_replace(Activity::Starting);
        Ok(())
    }

    /// Waits until the service accepts connections after its start.
    pub(crate) async fn answering(&mut self) {
        while TcpStream::connect(self.place.service()).await.is_err() {
            tokio::time::sleep(POLL).await;
        }
        if let Some(reboot) = self.reboots.last_mut() {
            reboot.answering = Some(Instant::now());
        }
        self.activity.send_replace(Activity::Serving);
    }

    pub(crate) fn start_agent(&mut self, args: &[&str]) -> anyhow::Result<()> {
        let name = &self.place.name;
        let command = agent::command(&self.place, args)?;
        let agent = Process::start(command, &self.place.agent_log())
            .with_context(|| format!("failed to start the agent of {name}"))?;
        self.agent = Some(agent);
        Ok(())
    }

    /// Waits for the agent's next event.
    pub(crate) async fn agent_event(&mut self) -> anyhow::Result<AgentEvent> {
        let name = self.place.name.clone();
        let agent = self.agent.as_mut().with_context(|| format!("{name} has no agent"))?;
        loop {
            let exited = tokio::select! {
                status = agent.wait() => Some(status.with_context(|| format!("failed to wait for the agent of {name}"))?),
                () = tokio::time::sleep(POLL) => None,
            };
            // The request counts even if the agent has ended since.
            match std::fs::remove_file(self.place.reboot_request_path()) {
                Ok(()) => return Ok(AgentEvent::RebootRequested),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(error).context(format!("failed to take the reboot request of {name}"));
                }
            }
            if let Some(status) = exited {
                return Ok(AgentEvent::Exited(status));
            }
            if agent::is_halted(&self.place) {
                return Ok(AgentEvent::Halted);
            }
        }
    }

    /// Whether the boot id has changed since the node was created.
    pub(crate) fn has_new_boot_id(&self) -> bool {
        std::fs::read_to_string(self.place.boot_id_path()).is_ok_and(|id| id.trim() != self.first_boot_id)
    }

    fn write_boot_id(&self, id: &str) -> anyhow::Result<()> {
        let path = self.place.boot_id_path();
        std::fs::write(&path, format!("{id}\n"))
            .with_context(|| format!("failed to write {}", path.display()))
    }

    fn start_service(&mut self) -> anyhow::Result<()> {
        let name = &self.place.name;
        let mut command = Command::new(this_program()?);
        command.args(["hello-service", "--hostname", name, "--listen", &self.place.service().to_string()]);
        // As in the unit: the agent has drained the node before.
        command.args(["--lame-duck", "0"]);
        let service = Process::start(command, &self.place.directory.join("service.log"))
            .with_context(|| format!("failed to start the service of {name}"))?;
        self.service = Some(service);
        Ok(())
    }
}

/// A random UUID, like the kernel's boot id.
fn new_boot_id() -> String {
    let random: u128 = rand::random();
    let (a, b, c) = (random >> 96, random >> 80 & 0xffff, random >> 64 & 0xfff);
    let (d, e) = (random >> 48 & 0x3fff | 0x8000, random & 0xffff_ffff_ffff);
    format!("{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{e:012x}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn boot_ids_look_like_the_kernels_and_differ() {
        let (one, other) = (super::new_boot_id(), super::new_boot_id());
        let lengths: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_ne!(one, other);
    }
}
