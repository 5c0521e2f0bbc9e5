//! The machines under the stand-in for the SSM agent, with our documents as Terraform renders them.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, ensure};
use node_agent::record::phase::Phase;

use crate::container::Container;
use crate::node::{Node, write};
use crate::patience::until;
use crate::ssm_agent::{Agent, Command, Delivery, Document};

const DIRECTORY: &str = "var/lib/amazon/ssm";
const UNIT: &str = "amazon-ssm-agent.service";
/// The id of an association, which all of its runs have.
const ASSOCIATION: &str = "8dfe3659-4309-493a-8755-0123456789ab";
const WEEKS: usize = 3;

/// Scripts stay in this unit and outlive its main process, as with the real agent.
const SERVICE: &str = "\
[Service]
Environment=BOOT_ID=/proc/sys/kernel/random/boot_id PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
EnvironmentFile=/var/lib/amazon/ssm/delivery
ExecStart=/bin/sh /var/lib/amazon/ssm/agent.sh /var/lib/amazon/ssm ${DELIVERY}
KillMode=process

[Install]
WantedBy=multi-user.target
";

/// `shutdown -r +1` with a minute of 6 s: logind schedules it in the same way.
const SHUTDOWN: &str = "\
#!/bin/sh
[ \"$*\" = '-r +1' ] || exit 2
exec busctl call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager \\
  ScheduleShutdown st reboot $(($(date +%s%N) / 1000 + 6000000))
";

fn agent(machine: &Container) -> Agent {
    Agent { outside: machine.root.join(DIRECTORY), inside: std::path::Path::new("/").join(DIRECTORY) }
}

/// Installs the stand-in and starts it.
pub(crate) async fn install(machine: &Container) -> anyhow::Result<()> {
    agent(machine).install();
    write(&machine.root, &format!("etc/systemd/system/{UNIT}"), SERVICE)?;
    let shutdown = "usr/local/sbin/shutdown";
    write(&machine.root, shutdown, SHUTDOWN)?;
    std::fs::set_permissions(machine.root.join(shutdown), std::fs::Permissions::from_mode(0o755))?;
    deliver(machine, Delivery::Mgs).await?;
    machine.said(&["systemctl", "enable", UNIT]).await.map(drop)
}

/// From now on commands are delivered like this.
async fn deliver(machine: &Container, delivery: Delivery) -> anyhow::Result<()> {
    write(&machine.root, &format!("{DIRECTORY}/delivery"), &format!("DELIVERY={}\n", delivery.name()))?;
    machine.said(&["systemctl", "daemon-reload"]).await?;
    machine.said(&["systemctl", "restart", UNIT]).await.map(drop)
}

fn send(node: &Node, id: &str, run: &str, document: Document) -> Command {
    agent(&node.machine).send(id, run, &document.script(&[]))
}

/// Waits for the verdict of a command. Returns what its runs ended with.
async fn codes(command: &Command) -> anyhow::Result<Vec<i32>> {
    let waited = until("the command is over", || command.is_over()).await;
    waited.with_context(|| format!("{:?}: {}{}", command.codes(), command.stdout(), command.stderr()))?;
    Ok(command.codes())
}

async fn ends(command: &Command, expected: &[i32]) -> anyhow::Result<()> {
    let codes = codes(command).await?;
    ensure!(codes == expected, "{codes:?}: {}{}", command.stdout(), command.stderr());
    ensure!(command.stdout().chars().count() <= 2000, "too long for Run Command: {}", command.stdout());
    Ok(())
}

/// How often the machine was booted, by its journal.
async fn boots(node: &Node) -> anyhow::Result<usize> {
    Ok(node.machine.said(&["journalctl", "--list-boots", "--no-pager", "--quiet"]).await?.lines().count())
}

/// One maintenance and one reboot have been made since `before` (maintenances, boots), and no other reboot is to come.
async fn one_reboot(node: &Node, before: (usize, usize)) -> anyhow::Result<()> {
    node.succeeded(before.0)?;
    node.machine.booted().await?;
    let boots = boots(node).await?;
    ensure!(boots == before.1 + 1, "{} boots instead of one", boots - before.1);
    node.machine
        .said(&["test", "!", "-e", "/run/systemd/shutdown/scheduled"])
        .await
        .context("another reboot")?;
    Ok(())
}

async fn so_far(node: &Node) -> anyhow::Result<(usize, usize)> {
    Ok((node.finished().len(), boots(node).await?))
}

pub(crate) async fn reboot_by_the_ssm_agent(node: &Node) -> anyhow::Result<()> {
    let before = so_far(node).await?;
    let command = send(node, "5a5a5a5a-0000-4000-8000-000000000001", "run", Document::Maintain);
    ends(&command, &[194, 0]).await?;
    one_reboot(node, before).await
}

/// An association on each node: `maintain` on one, and `drain` as a hook on the other. Each week is done.
pub(crate) async fn weeks(maintained: &Node, patched: &Node) -> anyhow::Result<()> {
    let maintains = async {
        for week in 1..=WEEKS {
            let before = so_far(maintained).await?;
            let command = send(maintained, ASSOCIATION, &format!("week-{week}"), Document::Maintain);
            ends(&command, &[194, 0]).await.with_context(|| format!("maintain, week {week}"))?;
            one_reboot(maintained, before).await.with_context(|| format!("maintain, week {week}"))?;
        }
        anyhow::Ok(())
    };
    let drains = async {
        for week in 1..=WEEKS {
            let count = patched.finished().len();
            let (drain, rejoin) = (format!("week-{week}"), format!("week-{week}-rejoin"));
            ends(&send(patched, ASSOCIATION, &drain, Document::Drain), &[0]).await?;
            let phase = patched.phase();
            ensure!(phase == Some(Phase::Drained), "week {week}: the hook has ended at {phase:?}");
            ends(&send(patched, ASSOCIATION, &rejoin, Document::Rejoin), &[0]).await?;
            patched.succeeded(count).with_context(|| format!("drain, week {week}"))?;
        }
        Ok(())
    };
    tokio::try_join!(maintains, drains).map(drop)
}

/// Two commands that want a reboot: one reboot.
pub(crate) async fn at_once(node: &Node, delivery: Delivery) -> anyhow::Result<()> {
    deliver(&node.machine, delivery).await?;
    let before = so_far(node).await?;
    let ids = ["5a5a5a5a-0000-4000-8000-000000000002", "5a5a5a5a-0000-4000-8000-000000000003"];
    let [one, two] = ids.map(|id| send(node, id, "run", Document::Maintain));
    let mut ended = [codes(&one).await?, codes(&two).await?];
    ended.sort();
    let said = || format!("{}{}", one.stderr(), two.stderr());
    ensure!(ended == [vec![75], vec![194, 0]], "{delivery:?}: {ended:?}: {}", said());
    one_reboot(node, before).await.with_context(|| format!("{delivery:?}"))
}

/// The agent is restarted before the machine goes down, and runs the script again.
pub(crate) async fn restarted(node: &Node) -> anyhow::Result<()> {
    let before = so_far(node).await?;
    let command = send(node, "5a5a5a5a-0000-4000-8000-000000000004", "run", Document::Maintain);
    until("the agent has read 194", || command.is_rebooting()).await?;
    node.machine.said(&["systemctl", "restart", UNIT]).await?;
    ends(&command, &[194, 194, 0]).await?;
    one_reboot(node, before).await
}
