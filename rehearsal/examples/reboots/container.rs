//! A machine with its own systemd: a systemd-nspawn container that shares the host's network.
//!
//! systemd-nspawn gives every boot of a container a new boot id (it mounts one over /proc/sys/kernel/random/boot_id). Its
//! exit code is 133 when the container reboots, and 0 when it powers off.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::cgroup::ControlGroups;

/// The exit code of systemd-nspawn when the container reboots.
const REBOOT: i32 = 133;
const BOOT_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// The power state of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    /// Running. systemd has this process id on the host.
    On(u32),
    /// Not yet booted, or between two boots.
    Booting,
    /// Switched off.
    Off,
}

/// A container. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) root: PathBuf,
    power: watch::Sender<Power>,
}

impl Container {
    /// Boots the system installed at `root`.
    pub(crate) fn start(root: &Path) -> Container {
        let power = watch::Sender::new(Power::Booting);
        let mut container = Container { root: root.to_owned(), power };
        container.switch_on();
        container
    }

    /// Switches the machine on.
    pub(crate) fn switch_on(&mut self) {
        self.power.send_replace(Power::Booting);
        // Not awaited: it reports in `power`.
        drop(tokio::spawn(keep_running(self.root.clone(), self.power.clone())));
    }

    pub(crate) fn power(&self) -> Power {
        *self.power.borrow()
    }

    /// Waits until systemd has started all units.
    pub(crate) async fn booted(&self) -> anyhow::Result<()> {
        timeout(BOOT_LIMIT, async {
            loop {
                if let Ok(said) = self.inside(&["systemctl", "is-system-running", "--wait"]).await
                    && ["running", "degraded"].contains(&String::from_utf8_lossy(&said.stdout).trim())
                {
                    return;
                }
                sleep(POLL).await;
            }
        })
        .await
        .with_context(|| format!("{} did not boot in time", self.root.display()))
    }

    /// Runs a process in the container, outside of systemd's control.
    pub(crate) async fn inside(&self, argv: &[&str]) -> anyhow::Result<Output> {
        let mut command = self.command(argv)?;
        command.stdin(Stdio::null()).kill_on_drop(true);
        command.output().await.with_context(|| format!("failed to run {argv:?} in {}", self.root.display()))
    }

    /// The command that runs such a process.
    pub(crate) fn command(&self, argv: &[&str]) -> anyhow::Result<Command> {
        let Power::On(leader) = self.power() else { bail!("{} is not running", self.root.display()) };
        let leader = leader.to_string();
        let mut command = Command::new("nsenter");
        command.args(["-t", &leader, "-m", "-u", "-i", "-p", "-C", "-r", "-w", "--"]).args(argv);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
        Ok(command)
    }

    /// Runs a process that must succeed. Returns its standard output.
    pub(crate) async fn said(&self, argv: &[&str]) -> anyhow::Result<String> {
        let output = self.inside(argv).await?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("{argv:?} in {} ended with {}: {text} {errors}", self.root.display(), output.status);
        }
        Ok(text)
    }

    /// A property of a unit.
    pub(crate) async fn property(&self, unit: &str, name: &str) -> anyhow::Result<String> {
        self.said(&["systemctl", "show", "--value", "--property", name, unit]).await
    }

    pub(crate) async fn boot_id(&self) -> anyhow::Result<String> {
        self.said(&["cat", "/proc/sys/kernel/random/boot_id"]).await
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Power::On(leader) = self.power()
            && let Some(leader) = i32::try_from(leader).ok().and_then(Pid::from_raw)
        {
            // Killing process 1 of the container kills all others. It may already have ended.
            let _ = kill_process(leader, Signal::KILL);
        }
    }
}

/// Runs the machine, and starts it again after each reboot.
async fn keep_running(root: PathBuf, power: watch::Sender<Power>) {
    loop {
        let ended = one_boot(&root, &power).await;
        match ended {
            Ok(Some(REBOOT)) => {
                power.send_replace(Power::Booting);
            }
            Ok(Some(0)) => break,
            other => {
                tracing::error!("{} ended with {other:?}; see {}", root.display(), log(&root).display());
                break;
            }
        }
    }
    power.send_replace(Power::Off);
}

/// Runs the machine until it goes down. Returns the exit code of systemd-nspawn.
async fn one_boot(root: &Path, power: &watch::Sender<Power>) -> std::io::Result<Option<i32>> {
    let groups = ControlGroups::create(&machine(root))?;
    run(&mut boot(root, &groups)?, power).await
}

/// Its name on the host.
fn machine(root: &Path) -> String {
    let name = root.file_name().and_then(OsStr::to_str).unwrap_or("node");
    format!("{name}-{}", std::process::id())
}

async fn run(nspawn: &mut Child, power: &watch::Sender<Power>) -> std::io::Result<Option<i32>> {
    let id = nspawn.id();
    let found = async {
        loop {
            match id.and_then(init_of) {
                Some(leader) => return leader,
                None => sleep(POLL).await,
            }
        }
    };
    tokio::select! {
        leader = found => { power.send_replace(Power::On(leader)); }
        ended = nspawn.wait() => return ended.map(|status| status.code()),
    }
    nspawn.wait().await.map(|status| status.code())
}

fn log(root: &Path) -> PathBuf {
    root.with_extension("log")
}

fn boot(root: &Path, groups: &ControlGroups) -> std::io::Result<Child> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(log(root))?;
    // The machines end with this program, however it ends: systemd-nspawn gets SIGTERM, and kills the machine. A SIGKILL of
    // systemd-nspawn itself would leave the machine running.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM"]).args(groups.enter());
    command.args(["systemd-nspawn", "--kill-signal=SIGKILL"]);
    command.args(["--quiet", "--boot", "--register=no"]);
    command.args(["--console=pipe".as_ref(), "--directory".as_ref(), root.as_os_str()]);
    if groups.exist() {
        // On a host without systemd, no scope can be created for the container.
        command.arg("--keep-unit");
    }
    command.arg(format!("--machine={}", machine(root)));
    let name = root.file_name().and_then(OsStr::to_str).unwrap_or("node");
    command.arg(format!("--hostname={name}"));
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()
}

/// The process id on the host of the container's process 1, which is a child of systemd-nspawn.
fn init_of(nspawn: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
    children.split_whitespace().filter_map(|child| child.parse().ok()).find(|child: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1"))
            && std::fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name == "systemd\n")
    })
}
