//! The chapters: what happens to the machines, and what must be true afterwards.

use std::path::Path;

use anyhow::{Context, ensure};
use node_agent::record::phase::Phase;
use node_agent::record::{TurnedBack, Verdict};

use crate::estate::Estate;
use crate::node::{Node, expect};
use crate::order;
use crate::patience::until;
use crate::ssm::{self, reboot_by_the_ssm_agent};
use crate::ssm_agent::Delivery;

const NIGHTLY: &str = "node-agent-reboot.service";
/// The command below runs until this file exists.
const GO_ON: &str = "/run/go-on";
const UNTIL_GO_ON: [&str; 4] = ["--", "sh", "-c", "while [ ! -e /run/go-on ]; do sleep 0.1; done"];

/// What all chapters use.
pub(crate) struct Story<'a> {
    pub(crate) estate: &'a Estate,
    /// A newer package of the agent.
    pub(crate) newer: &'a Path,
}

impl Story<'_> {
    pub(crate) async fn tell(&self, one: &mut Node, two: &Node, three: &Node) -> anyhow::Result<()> {
        self.estate.all_in_service().await?;
        println!("{:<58} {:>6} {:>7} {:>5} {:>5}", "", "sent", "failed", "out", "s");
        self.chapter("maintain --reboot on all nodes at once", self.roll(one, two, three)).await?;
        self.chapter("an association: maintain, and drain as a hook, three weeks", ssm::weeks(one, two))
            .await?;
        let at_once =
            async { tokio::try_join!(ssm::at_once(one, Delivery::Mgs), ssm::at_once(two, Delivery::Mds)) };
        self.chapter("two commands at once, by MGS and by MDS", async { at_once.await.map(drop) }).await?;
        self.chapter("the SSM agent restarted in the minute after 194", ssm::restarted(three)).await?;
        self.chapter("shutdown -r +1 and -c while the node returns", self.scheduled(one)).await?;
        self.chapter("systemctl reboot", self.plain_reboot(two)).await?;
        self.chapter("the nightly timer: one of two requires a reboot", self.nightly(one, two)).await?;
        self.chapter("systemctl poweroff and power on", self.power_off(one)).await?;
        self.chapter("maintain -- apt-get install, with a newer node-agent", self.upgrade(two)).await?;
        self.chapter("SIGKILL of the driver in run_command", self.killed_in_command(three)).await?;
        self.chapter("SIGKILL of the driver in drain", self.killed_in_drain(three)).await?;
        self.chapter("terminal closed in acquire_lease", self.closed_in_service(three)).await?;
        for phase in [Phase::Drain, Phase::RunCommand] {
            let title = format!("terminal closed in {phase}");
            self.chapter(&title, self.closed_while_out(three, phase)).await?;
        }
        self.chapter("package removal: refused in maintenance, then done", self.removal(three)).await
    }

    /// Plays one chapter under load. Afterwards all nodes must be in service, without leases.
    async fn chapter(
        &self,
        title: &str,
        chapter: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let line = self.estate.under_load(title, chapter).await.with_context(|| title.to_owned())?;
        self.estate.all_in_service().await.with_context(|| title.to_owned())?;
        let leases = self.estate.leases();
        ensure!(leases.is_empty(), "{title}: leases are left: {leases:?}");
        println!("{line}");
        Ok(())
    }

    async fn roll(&self, one: &Node, two: &Node, three: &Node) -> anyhow::Result<()> {
        tokio::try_join!(reboot_by_itself(one), reboot_by_itself(two), reboot_by_the_ssm_agent(three))?;
        for node in [one, two, three] {
            order::at_boot(&node.machine).await?;
        }
        Ok(())
    }

    /// The guard drains before the service stops. The next boot returns the node to service.
    async fn plain_reboot(&self, node: &Node) -> anyhow::Result<()> {
        let before = node.machine.boot_id().await?;
        let count = node.finished().len();
        node.systemctl("reboot").await;
        node.rebooted(&before).await?;
        node.has_finished(count + 1).await?;
        node.succeeded(count)?;
        order::at_boot(&node.machine).await?;
        order::at_shutdown(&node.machine, &before).await
    }

    /// The unit of the timer on two nodes. Only the one that requires a reboot leaves service.
    async fn nightly(&self, requires: &Node, stays: &Node) -> anyhow::Result<()> {
        let before = requires.machine.boot_id().await?;
        let counts = [requires.finished().len(), stays.finished().len()];
        requires.machine.said(&["touch", "/run/reboot-required"]).await?;
        stays.machine.said(&["systemctl", "start", NIGHTLY]).await?;
        requires.machine.said(&["systemctl", "start", "--no-block", NIGHTLY]).await?;
        requires.rebooted(&before).await?;
        requires.has_finished(counts[0] + 1).await?;
        requires.succeeded(counts[0])?;
        ensure!(stays.finished().len() == counts[1], "a node that requires no reboot left service");
        let enabled = stays.machine.inside(&["systemctl", "is-enabled", "node-agent-reboot.timer"]).await?;
        ensure!(!enabled.status.success(), "the package enabled the timer");
        Ok(())
    }

    /// A healthy node does not return while logind is about to shut the machine down.
    async fn scheduled(&self, node: &Node) -> anyhow::Result<()> {
        let count = node.finished().len();
        let scheduled = async {
            node.at(Phase::RunCommand).await?;
            node.machine.said(&["/sbin/shutdown", "-r", "+1"]).await?;
            node.machine.said(&["touch", GO_ON]).await?;
            let progress = node.machine.root.join("var/lib/node-agent/progress");
            until("the node waits for the shutdown", || {
                std::fs::read_to_string(&progress)
                    .is_ok_and(|text| text.contains("for the shutdown scheduled for"))
            })
            .await?;
            let out = self.estate.alb.instances_out(&self.estate.group);
            ensure!(out == 1, "{out} nodes are out while one waits for its shutdown");
            node.machine.said(&["/sbin/shutdown", "-c"]).await?;
            node.machine.said(&["rm", GO_ON]).await.map(drop)
        };
        let arguments = [&["maintain"][..], &UNTIL_GO_ON[..]].concat();
        let (ended, scheduled) = tokio::join!(node.agent(&arguments), scheduled);
        scheduled?;
        expect(ended?, 0)?;
        node.succeeded(count)
    }

    async fn power_off(&self, node: &mut Node) -> anyhow::Result<()> {
        let count = node.finished().len();
        node.systemctl("poweroff").await;
        node.switched_off().await?;
        let state = self.estate.state(&node.address.instance_id);
        ensure!(
            state.as_deref().is_none_or(|state| state == "draining"),
            "the machine is off, but its target is {state:?}"
        );
        ensure!(self.estate.leases().is_empty(), "a machine that is off must not hold a lease");
        node.machine.switch_on();
        node.machine.booted().await?;
        node.has_finished(count + 1).await
    }

    /// The upgrade replaces the driver's executable while it runs. Nothing may restart the driver, not even needrestart.
    async fn upgrade(&self, node: &Node) -> anyhow::Result<()> {
        let version = ["dpkg-query", "--show", "--showformat=${Version}", "node-agent"];
        let old = node.machine.said(&version).await?;
        let file = node.bring(self.newer)?;
        let settings = node.machine.said(&["sha256sum", "/etc/node-agent/config.toml"]).await?;
        // One command, so that the process that is alive afterwards is the driver from before the upgrade.
        let install = format!(
            "echo $PPID > /run/driver && NEEDRESTART_MODE=a DEBIAN_FRONTEND=noninteractive apt-get install --yes {file} && \
             [ -e /proc/$(cat /run/driver)/exe ] && touch /run/driver-is-alive"
        );
        node.maintain(&["--", "sh", "-c", &install]).await?;
        node.machine.said(&["test", "-e", "/run/driver-is-alive"]).await?;
        let new = node.machine.said(&version).await?;
        ensure!(new != old, "still version {old}");
        let same = node.machine.said(&["sha256sum", "/etc/node-agent/config.toml"]).await?;
        ensure!(same == settings, "the upgrade changed the settings");
        node.machine.said(&["systemctl", "is-active", "node-agent-guard.service"]).await?;
        // The new program reads the old one's record.
        node.machine.said(&["node-agent", "idle"]).await?;
        Ok(())
    }

    /// Nobody knows how far the command got. It does not run again, and the node returns to service with a failure.
    async fn killed_in_command(&self, node: &Node) -> anyhow::Result<()> {
        let count = node.finished().len();
        let killed = async {
            node.at(Phase::RunCommand).await?;
            self.kill_driver(node).await
        };
        let arguments = [&["maintain"][..], &UNTIL_GO_ON[..]].concat();
        let (ended, killed) = tokio::join!(node.agent(&arguments), killed);
        killed?;
        expect(ended?, 1)?;
        node.has_finished(count + 1).await?;
        let verdict = node.finished().last().map(|finished| finished.verdict);
        ensure!(verdict == Some(Verdict::FailedButRestored), "{verdict:?} on record");
        // A failed node stops the roll. This failure was deliberate, so it is cleared.
        let me = node.address.instance_id.clone();
        expect(node.agent(&["lease", "clear", &me]).await?, 0)
    }

    async fn killed_in_drain(&self, node: &Node) -> anyhow::Result<()> {
        let count = node.finished().len();
        let killed = async {
            node.at(Phase::Drain).await?;
            self.kill_driver(node).await
        };
        let once = ["maintain", "--", "sh", "-c", "echo once >> /run/runs"];
        let (ended, killed) = tokio::join!(node.agent(&once), killed);
        killed?;
        expect(ended?, 0)?;
        node.succeeded(count)?;
        let runs = node.machine.said(&["cat", "/run/runs"]).await?;
        ensure!(runs == "once", "the command did not run exactly once: {runs}");
        Ok(())
    }

    /// Kills the driver, and waits until systemd has restarted it.
    async fn kill_driver(&self, node: &Node) -> anyhow::Result<()> {
        let before = node.machine.property("node-agent.service", "NRestarts").await?;
        // It fails if a process of the unit ends at the same moment. The driver has received the signal even then.
        drop(node.machine.inside(&["systemctl", "kill", "--signal=KILL", "node-agent.service"]).await?);
        crate::patience::in_time("systemd restarts the driver", async {
            while node.machine.property("node-agent.service", "NRestarts").await? == before {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            Ok(())
        })
        .await?
    }

    /// The terminal of `maintain` is closed while the node is in service: the maintenance gives up.
    async fn closed_in_service(&self, node: &Node) -> anyhow::Result<()> {
        let count = node.finished().len();
        let lease = "node-agent/lease/i-0c000000000000099";
        self.estate.alb.set_tag(&self.estate.group, lease, "v1 p=held e=1 k=1");
        let mut maintain = node.on_terminal(&["maintain", "--", "true"])?;
        node.at(Phase::AcquireLease).await?;
        maintain.close();
        node.has_finished(count + 1).await?;
        self.estate.alb.remove_tag(&self.estate.group, lease);
        let ended = node.finished().pop().map(|finished| (finished.verdict, finished.turned_back));
        let expected = Some((Verdict::NothingChanged, Some(TurnedBack::Stopped)));
        ensure!(ended == expected, "{ended:?} on record");
        Ok(())
    }

    /// The terminal is closed while the node is out: the unit needs no terminal, and finishes as asked.
    async fn closed_while_out(&self, node: &Node, phase: Phase) -> anyhow::Result<()> {
        let count = node.finished().len();
        let mut maintain = node.on_terminal(&[&["maintain"][..], &UNTIL_GO_ON[..]].concat())?;
        node.at(phase).await?;
        maintain.close();
        node.machine.said(&["touch", GO_ON]).await?;
        node.has_finished(count + 1).await?;
        node.succeeded(count)?;
        node.machine.said(&["rm", GO_ON]).await.map(drop)
    }

    async fn removal(&self, node: &Node) -> anyhow::Result<()> {
        let count = node.finished().len();
        let remove = ["apt-get", "remove", "--yes", "node-agent"];
        let refused = async {
            node.at(Phase::RunCommand).await?;
            let removed = node.machine.inside(&remove).await?;
            // dpkg writes a script's output to one of the two.
            let said = [removed.stdout, removed.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            ensure!(!removed.status.success(), "the package was removed during a maintenance");
            ensure!(
                said.contains("is not removed while this node is in maintenance"),
                "the refusal does not say why: {said}"
            );
            node.machine.said(&["touch", GO_ON]).await.map(drop)
        };
        tokio::try_join!(node.maintain(&UNTIL_GO_ON), refused)?;
        node.machine
            .said(&["systemctl", "is-enabled", "node-agent.service", "node-agent-guard.service"])
            .await?;
        until("the driver has nothing to do", || node.phase().is_none()).await?;

        node.machine.said(&remove).await?;
        for unit in ["node-agent.service", "node-agent-guard.service"] {
            let left = (
                node.machine.property(unit, "LoadState").await?,
                node.machine.property(unit, "ActiveState").await?,
            );
            ensure!(left == ("not-found".to_owned(), "inactive".to_owned()), "removal left {unit}: {left:?}");
        }
        ensure!(
            node.machine.inside(&["pidof", "node-agent"]).await?.stdout.is_empty(),
            "removal left a process"
        );
        ensure!(node.finished().len() == count + 1, "removal changed the record");
        node.machine.said(&["apt-get", "purge", "--yes", "node-agent"]).await?;
        ensure!(!node.machine.root.join("var/lib/node-agent").exists(), "purge left the record");
        Ok(())
    }
}

/// The agent reboots the machine. `maintain` ends with the machine, so the record has the verdict.
async fn reboot_by_itself(node: &Node) -> anyhow::Result<()> {
    let before = node.machine.boot_id().await?;
    let count = node.finished().len();
    // The reboot kills it, so its exit code says nothing.
    let (asked, back) = tokio::join!(node.agent(&["maintain", "--reboot"]), async {
        node.rebooted(&before).await?;
        node.has_finished(count + 1).await
    });
    let asked = asked?;
    back.with_context(|| format!("{}: {asked:?}", node.address.instance_id))?;
    node.succeeded(count)
}
