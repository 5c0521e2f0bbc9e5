//! One node: a machine with the packages installed, and what its agent does there.

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

/// A command as the SSM agent runs it: in a unit of its own, with the environment of the agent's units.
const AS_A_UNIT: [&str; 6] = [
    "systemd-run",
    "--quiet",
    "--pipe",
    "--wait",
    "--collect",
    "--property=EnvironmentFile=/etc/node-agent/environment",
];

impl Node {
    /// Boots a copy of the base system at `root`.
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
        // The times are those of a fleet in a hurry; a load balancer on loopback is quick.
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
        write(root, "etc/node-agent/config.toml", &settings)
    }

    /// Copies a package into the machine, and says where it is there.
    pub(crate) fn bring(&self, package: &Path) -> anyhow::Result<String> {
        let name = package.file_name().and_then(|name| name.to_str()).context("a package without a name")?;
        std::fs::copy(package, self.machine.root.join("root").join(name))
            .with_context(|| format!("failed to copy {} to the machine", package.display()))?;
        Ok(format!("/root/{name}"))
    }

    /// `node-agent ARGUMENTS`, with a command id if it is to be as the SSM agent runs it.
    pub(crate) async fn agent(&self, arguments: &[&str], ssm: Option<&str>) -> anyhow::Result<Output> {
        let id = ssm.map(|id| format!("--setenv=SSM_COMMAND_ID={id}"));
        let argv: Vec<&str> = AS_A_UNIT
            .into_iter()
            .chain(id.as_deref())
            .chain(["--", "/usr/bin/node-agent"])
            .chain(arguments.iter().copied())
            .collect();
        in_time(&format!("node-agent {arguments:?}"), self.machine.inside(&argv)).await?
    }

    /// `node-agent ARGUMENTS`, as a person at a terminal runs it.
    pub(crate) fn on_terminal(&self, arguments: &[&str]) -> anyhow::Result<OnTerminal> {
        let shell = "set -a; . /etc/node-agent/environment; exec /usr/bin/node-agent \"$@\"";
        let argv = [&["sh", "-c", shell, "sh"], arguments].concat();
        Ok(OnTerminal::start(&self.machine.command(&argv)?, None))
    }

    /// A whole maintenance that has to end well.
    pub(crate) async fn maintain(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let before = self.finished().len();
        let output = self.agent(&[&["maintain"], arguments].concat(), None).await?;
        expect(output, 0)?;
        self.succeeded(before)
    }

    /// The last maintenance since there were `before` of them.
    pub(crate) fn succeeded(&self, before: usize) -> anyhow::Result<()> {
        let finished = self.finished();
        let [.., last] = finished.as_slice() else { bail!("nothing on record") };
        ensure!(finished.len() == before + 1, "{} instead of one on record", finished.len() - before);
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

    /// Waits until nothing is under way and `count` maintenances are on record.
    pub(crate) async fn has_finished(&self, count: usize) -> anyhow::Result<()> {
        let done = || {
            self.record().is_some_and(|record| record.operation.is_none() && record.finished.len() >= count)
        };
        until(&format!("{count} maintenances are finished"), done).await
    }

    /// Waits until the machine, which is going down, has booted again.
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

    /// A systemctl verb whose caller may not live to see the end of it.
    pub(crate) async fn systemctl(&self, verb: &str) {
        // The machine takes the caller with it; what comes of it is looked at elsewhere.
        drop(self.machine.inside(&["systemctl", verb]).await);
    }
}

fn write(root: &Path, file: &str, text: &str) -> anyhow::Result<()> {
    let path = root.join(file);
    std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
}

/// A program that has to end with `code`.
pub(crate) fn expect(output: Output, code: i32) -> anyhow::Result<()> {
    let Output { status, stdout, stderr } = output;
    let said = || format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    ensure!(ended_with(status, code), "exit code {code} was expected, not {status}: {}", said());
    Ok(())
}

fn ended_with(status: ExitStatus, code: i32) -> bool {
    status.code() == Some(code)
}
