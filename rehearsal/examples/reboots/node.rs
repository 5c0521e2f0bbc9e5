//! A node: a machine with both packages installed.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};

use anyhow::{Context, bail, ensure};
use node_agent::record::phase::Phase;
use node_agent::record::{Finished, Record, Verdict};

use crate::container::{Container, Power};
use crate::estate::{Address, TARGET_GROUP};
use crate::patience::{in_time, until};
use crate::pty::OnTerminal;

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) machine: Container,
    pub(crate) address: Address,
}

/// Runs a command in a unit of its own, with the environment of node-agent's units.
const AS_A_UNIT: [&str; 6] = [
    "systemd-run",
    "--quiet",
    "--pipe",
    "--wait",
    "--collect",
    "--property=EnvironmentFile=/etc/node-agent/environment",
];

impl Node {
    /// Copies the base system to `root`, and boots the copy.
    pub(crate) async fn boot(base: &Path, root: &Path, address: Address) -> anyhow::Result<Node> {
        let copied = tokio::process::Command::new("cp")
            .args(["-a", "--reflink=auto", "-T"])
            .arg(base)
            .arg(root)
            .status();
        ensure!(copied.await?.success(), "failed to copy {} to {}", base.display(), root.display());
        let (ip, port) = address.service;
        write(root, "etc/default/hello-service", &format!("HELLO_SERVICE_LISTEN={ip}:{port}\n"))?;
        let node = Node { machine: Container::start(root), address };
        node.machine.booted().await?;
        Ok(node)
    }

    /// Installs both packages as a user would, and configures the agent.
    pub(crate) async fn install(&self, packages: &[PathBuf]) -> anyhow::Result<()> {
        for package in packages {
            let file = self.bring(package)?;
            self.machine.said(&["apt-get", "install", "--yes", &file]).await?;
        }
        let Address { api_url, imds_url, service: (ip, port), .. } = &self.address;
        let environment = format!(
            "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2={api_url}\nAWS_EC2_METADATA_SERVICE_ENDPOINT={imds_url}\n"
        );
        let root = &self.machine.root;
        write(root, "etc/node-agent/environment", &environment)?;
        // Short times, because a load balancer on loopback is fast.
        let settings = format!(
            r#"target_groups = ["{TARGET_GROUP}"]
service_address = "{ip}"
in_flight_url = "http://{ip}:{port}/in-flight"
drain_floor = "3s"
quiet_period = "1s"
staleness = "100ms"
settle = "200ms"
lease_poll = "500ms"
health_interval = "300ms"
fleet_rate = 20.0
"#
        );
        write(root, "etc/node-agent/config.toml", &settings)?;
        crate::ssm::install(&self.machine).await
    }

    /// Copies a package into the machine. Returns its path there.
    pub(crate) fn bring(&self, package: &Path) -> anyhow::Result<String> {
        let name = package.file_name().and_then(|name| name.to_str()).context("a package without a name")?;
        std::fs::copy(package, self.machine.root.join("root").join(name))
            .with_context(|| format!("failed to copy {} to the machine", package.display()))?;
        Ok(format!("/root/{name}"))
    }

    /// Runs `node-agent ARGUMENTS`.
    pub(crate) async fn agent(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let argv: Vec<&str> = AS_A_UNIT
            .into_iter()
            .chain(["--", "/usr/bin/node-agent"])
            .chain(arguments.iter().copied())
            .collect();
        in_time(&format!("node-agent {arguments:?}"), self.machine.inside(&argv)).await?
    }

    /// Runs `node-agent ARGUMENTS` as a person at a terminal does.
    pub(crate) fn on_terminal(&self, arguments: &[&str]) -> anyhow::Result<OnTerminal> {
        let shell = "set -a; . /etc/node-agent/environment; exec /usr/bin/node-agent \"$@\"";
        let argv = [&["sh", "-c", shell, "sh"], arguments].concat();
        Ok(OnTerminal::start(&self.machine.command(&argv)?, None))
    }

    /// Runs a maintenance that must succeed.
    pub(crate) async fn maintain(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let before = self.finished().len();
        let output = self.agent(&[&["maintain"], arguments].concat()).await?;
        expect(output, 0)?;
        self.succeeded(before)
    }

    /// Checks that one maintenance has ended since there were `before` on record, and that it succeeded.
    pub(crate) fn succeeded(&self, before: usize) -> anyhow::Result<()> {
        let finished = self.finished();
        let [.., last] = finished.as_slice() else { bail!("nothing on record") };
        ensure!(
            finished.len() == before + 1,
            "{} new maintenances on record instead of one",
            finished.len() - before
        );
        ensure!(
            (last.verdict, last.exit_code) == (Verdict::Succeeded, 0),
            "{} on record, exit code {}: {:?}",
            last.verdict,
            last.exit_code,
            last.reason
        );
        Ok(())
    }

    fn record(&self) -> Option<Record> {
        node_agent::record::journal::read(&self.machine.root.join("var/lib/node-agent")).ok().flatten()
    }

    pub(crate) fn finished(&self) -> Vec<Finished> {
        self.record().map(|record| record.finished).unwrap_or_default()
    }

    pub(crate) fn phase(&self) -> Option<Phase> {
        self.record()?.operation.map(|operation| operation.phase)
    }

    pub(crate) async fn at(&self, phase: Phase) -> anyhow::Result<()> {
        until(&format!("the node is at {phase}"), || self.phase() == Some(phase)).await
    }

    /// Waits until `count` maintenances are on record and none is in progress.
    pub(crate) async fn has_finished(&self, count: usize) -> anyhow::Result<()> {
        let done = || {
            self.record().is_some_and(|record| record.operation.is_none() && record.finished.len() >= count)
        };
        until(&format!("{count} maintenances are on record"), done).await
    }

    /// Waits until the machine has gone down and booted again.
    pub(crate) async fn rebooted(&self, boot_id_before: &str) -> anyhow::Result<()> {
        in_time("the machine boots again", async {
            loop {
                match self.machine.boot_id().await {
                    Ok(boot_id) if boot_id != boot_id_before => return,
                    _ => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                }
            }
        })
        .await?;
        self.machine.booted().await
    }

    pub(crate) async fn switched_off(&self) -> anyhow::Result<()> {
        until("the machine is off", || self.machine.power() == Power::Off).await
    }

    /// Runs a systemctl verb that may end its caller.
    pub(crate) async fn systemctl(&self, verb: &str) {
        // The shutdown can kill the caller, so its exit code says nothing. The callers of this function check the effect.
        drop(self.machine.inside(&["systemctl", verb]).await);
    }
}

pub(crate) fn write(root: &Path, file: &str, text: &str) -> anyhow::Result<()> {
    let path = root.join(file);
    std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
}

/// Checks that a program ended with `code`.
pub(crate) fn expect(output: Output, code: i32) -> anyhow::Result<()> {
    let Output { status, stdout, stderr } = output;
    let said = || format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    ensure!(ended_with(status, code), "expected exit code {code}, got {status}: {}", said());
    Ok(())
}

fn ended_with(status: ExitStatus, code: i32) -> bool {
    status.code() == Some(code)
}
