//! A machine with a stand-in for systemd: one driver unit, in a session of its own, restarted when it fails.

use crate::estate::{Estate, NODE, Run, estate, until};
use crate::ssm::SsmAgent;
use node_agent::record::journal;
use node_agent::record::phase::Phase;
use node_agent::record::{Finished, Operation, Record};
use rustix::process::{Pid, Signal, kill_process_group};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// One node on which node-agent is installed.
pub(crate) struct Machine {
    pub(crate) estate: Estate,
    pub(crate) ssm: SsmAgent,
    boots: AtomicU32,
}

/// What `systemctl start` is here: it returns at once, and a driver that runs is left alone. While the machine goes down,
/// nothing can be started. The unit has the environment of its file, and nothing of whoever starts it.
const START: &str = r#"#!/bin/sh
dir=$(dirname "$0")
if [ -e "$dir/going-down" ]; then
  echo "Transaction for node-agent.service/start is destructive" >&2
  exit 1
fi
exec env -i $(cat "$dir/environment") setsid -f sh "$dir/unit" >/dev/null 2>&1
"#;

/// Knows whether the machine goes down, and how.
const SYSTEMCTL: &str = r#"#!/bin/sh
how=$(cat "$(dirname "$0")/../going-down" 2>/dev/null) || { echo running; exit; }
case $1 in
is-system-running) echo stopping; exit 1 ;;
list-jobs) echo "121 $how.target start waiting" ;;
esac
"#;

/// `shutdown -r +1`, with a short minute. Called again, it replaces the time. The test makes the reboot when it is due.
const SHUTDOWN: &str = r#"#!/bin/sh
[ "$*" = "-r +1" ] || exit 2
cd "$(dirname "$0")/.." || exit 1
echo $(($(date +%s%N) / 1000000 + $(cat minute))) >reboot-at.new && mv reboot-at.new reboot-at
"#;

/// `Restart=on-failure`. With a file `full`, the disk of the driver takes no byte. The lock makes it one unit, and its number names the session.
fn unit(program: &str) -> String {
    format!(
        "cd \"$(dirname \"$0\")\" || exit 1\nexec 9>unit.lock\nflock -n 9 || exit 0\necho $$ >unit.pid\n\
         [ -e full ] && trap '' XFSZ && ulimit -S -f 0\n\
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
    std::fs::write(dir.join("minute"), "700\n").unwrap();
    std::fs::create_dir(dir.join("bin")).unwrap();
    // Installed: found in PATH, with its configuration where it looks for it.
    let config = dir.join("config.toml");
    let installed = format!(
        "#!/bin/sh\nNODE_AGENT_CONFIG={} exec {} node-agent \"$@\"\n",
        config.display(),
        env!("CARGO_BIN_EXE_rehearsal")
    );
    for (name, script) in [("systemctl", SYSTEMCTL), ("shutdown", SHUTDOWN), ("node-agent", &installed)] {
        let file = dir.join("bin").join(name);
        std::fs::write(&file, script).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", dir.join("bin").display());
    let start = format!("start_driver = [\"sh\", {:?}]", dir.join("start"));
    let estate = change(estate.configured(&start)).with("PATH", &path);
    let machine = Machine { ssm: SsmAgent::on(&dir, &path), estate, boots: AtomicU32::new(0) };
    machine.write_environment();
    machine
}

impl Machine {
    /// Sets a variable of people's shells, and of the unit.
    pub(crate) fn set(&mut self, name: &'static str, value: String) {
        self.estate.environment.insert(name, value);
        self.write_environment();
    }

    /// The environment file of the unit.
    fn write_environment(&self) {
        let lines: String =
            self.estate.environment.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        std::fs::write(self.file("environment"), lines).unwrap();
    }

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
            .arg(self.unit_group().unwrap().as_raw_nonzero().to_string())
            .status();
        assert!(killed.unwrap().success());
    }

    fn unit_group(&self) -> Option<Pid> {
        let id = std::fs::read_to_string(self.file("unit.pid")).ok()?;
        Pid::from_raw(id.trim().parse().ok()?)
    }

    /// The machine begins to go down, to `reboot` or to `poweroff`: the driver ends, and nothing can be started any more.
    pub(crate) async fn goes_down(&self, how: &str) {
        std::fs::write(self.file("going-down"), how).unwrap();
        // A driver may have been about to start.
        until(|| {
            if let Some(group) = self.unit_group() {
                let _ = kill_process_group(group, Signal::KILL);
            }
            !journal::is_driven(&self.file("state"))
        })
        .await;
    }

    /// All of its processes die, the boot id is new, and what is started at boot is started.
    pub(crate) async fn reboot(&self) {
        self.goes_down("reboot").await;
        let agent_runs = self.ssm.dies().await;
        let boot = self.boots.fetch_add(1, Ordering::Relaxed) + 1;
        std::fs::write(self.file("boot_id"), format!("boot-{boot}\n")).unwrap();
        // A schedule of logind does not outlive the boot.
        let _ = std::fs::remove_file(self.file("reboot-at"));
        std::fs::remove_file(self.file("going-down")).unwrap();
        self.start_unit().await;
        if let Some(delivery) = agent_runs {
            self.ssm.start(delivery).await;
        }
    }

    /// How often it was booted.
    pub(crate) fn boots(&self) -> u32 {
        self.boots.load(Ordering::Relaxed)
    }

    /// Whether somebody has scheduled a reboot.
    pub(crate) fn is_to_reboot(&self) -> bool {
        self.file("reboot-at").exists()
    }

    /// Waits for a condition, and makes the scheduled reboots meanwhile.
    pub(crate) async fn until(&self, condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < Duration::from_secs(90), "never came to hold: {}", self.log());
            let at = std::fs::read_to_string(self.file("reboot-at")).unwrap_or_default();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
            if at.trim().parse::<u128>().is_ok_and(|at| at <= now) {
                self.reboot().await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
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
        if let Some(group) = self.unit_group() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Ends a process as a terminal or a person would.
pub(crate) fn signal(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id().unwrap()).unwrap();
    rustix::process::kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
}
