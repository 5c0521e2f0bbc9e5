//! Whether the operating system requires a reboot: a marker of the package manager, a kernel that the next boot would start and
//! that does not run yet, or what the distribution's own tool says.

use crate::machine::program::{self, NotEnded, named};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

/// How long a tool may take; `dnf` may load its metadata first.
const TOOL_LIMIT: Duration = Duration::from_secs(120);

/// Files that a package manager leaves: Debian and Ubuntu, and SUSE.
const MARKERS: [&str; 3] = ["run/reboot-required", "var/run/reboot-required", "run/reboot-needed"];

/// The tools, and with which exit code each says that a reboot is required. 0 means none is. `needs-restarting` is its own
/// program in yum-utils and dnf-utils, and a plugin elsewhere (their manual pages; zypper's manual page, "Exit codes").
const TOOLS: [(&[&str], i32); 4] = [
    (&["needs-restarting", "-r"], 1),
    (&["dnf", "needs-restarting", "-r"], 1),
    (&["dnf5", "needs-restarting", "-r"], 1),
    (&["zypper", "--quiet", "needs-rebooting"], 102),
];

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RebootRequired {
    /// Yes, and why.
    Yes(String),
    /// No.
    No,
    /// Nothing on this machine can tell. A reboot is the safe choice.
    CannotTell(String),
}

impl RebootRequired {
    /// Whether to reboot. Says why in the log.
    pub fn is_wanted(&self) -> bool {
        match self {
            RebootRequired::Yes(why) => tracing::info!("the system requires a reboot: {why}"),
            RebootRequired::No => tracing::info!("the system requires no reboot"),
            RebootRequired::CannotTell(why) => {
                tracing::warn!("cannot tell whether the system requires a reboot: {why}; rebooting");
            }
        }
        *self != RebootRequired::No
    }
}

/// Asks this machine, or only the user's own command.
pub(crate) async fn ask(own: &[String]) -> RebootRequired {
    if !own.is_empty() {
        return match by(own).await {
            Ok(code) => said(named(own), code, 1),
            Err(cause) => RebootRequired::CannotTell(format!("failed to run `{}`: {cause}", named(own))),
        };
    }
    let facts = Facts {
        marker: marker(Path::new("/")),
        running: rustix::system::uname().release().to_string_lossy().into_owned(),
        next: next_kernel(Path::new("/")).await,
        tool: tool().await,
        has_dpkg: Path::new("/var/lib/dpkg/status").exists(),
    };
    decide(facts)
}

/// What the machine shows.
#[derive(Debug, Clone, Default)]
struct Facts {
    marker: Option<PathBuf>,
    /// The release of the kernel that runs.
    running: String,
    /// The release of the kernel that the next boot starts, where that is known; a container has none.
    next: Option<String>,
    /// What the first tool that exists said.
    tool: Option<RebootRequired>,
    /// Debian and Ubuntu leave a marker, so that no marker says something.
    has_dpkg: bool,
}

fn decide(facts: Facts) -> RebootRequired {
    if let Some(marker) = facts.marker {
        return RebootRequired::Yes(format!("{} exists", marker.display()));
    }
    let Facts { running, next, .. } = facts;
    match next {
        Some(next) if next != running => {
            RebootRequired::Yes(format!("the next boot starts the kernel {next}, and {running} is running"))
        }
        next => facts.tool.unwrap_or_else(|| match next.is_some() || facts.has_dpkg {
            true => RebootRequired::No,
            false => RebootRequired::CannotTell(
                "there is no marker, no kernel, and none of needs-restarting, dnf, dnf5 and zypper on this machine; set \
                 reboot_required_command"
                    .to_owned(),
            ),
        }),
    }
}

fn marker(root: &Path) -> Option<PathBuf> {
    MARKERS.iter().map(|marker| root.join(marker)).find(|marker| marker.exists())
}

/// The kernel of the default boot entry: `grubby` knows it on Amazon Linux, Fedora and RHEL, a symbolic link names it on Debian,
/// Ubuntu and SUSE. It is not the newest one where somebody has chosen another.
async fn next_kernel(root: &Path) -> Option<String> {
    let grubby = output(&["grubby", "--default-kernel"]).await.ok().filter(|output| output.status.success());
    let said = grubby.and_then(|output| release(String::from_utf8_lossy(&output.stdout).trim().as_ref()));
    said.or_else(|| {
        let links = ["boot/vmlinuz", "vmlinuz"].iter().map(|link| std::fs::read_link(root.join(link)));
        links.flatten().find_map(|kernel| release(&kernel))
    })
}

/// `/boot/vmlinuz-6.12.90-1.amzn2023.x86_64` has the release after its first hyphen.
fn release(kernel: &Path) -> Option<String> {
    let (_, release) = kernel.file_name()?.to_str()?.split_once('-')?;
    (!release.is_empty()).then(|| release.to_owned())
}

/// What the first tool that exists says.
async fn tool() -> Option<RebootRequired> {
    for (argv, yes) in TOOLS {
        let name = argv.join(" ");
        match output(argv).await {
            Err(NotEnded::NotRun(cause)) if cause.kind() == io::ErrorKind::NotFound => (),
            Err(cause) => {
                return Some(RebootRequired::CannotTell(format!("failed to run `{name}`: {cause}")));
            }
            // Without its plugin, dnf ends with the code that means yes.
            Ok(output) if lacks_plugin(&output) => {
                let why = format!("`{name}` is a plugin that is not installed: install dnf-utils");
                return Some(RebootRequired::CannotTell(why));
            }
            Ok(output) => return Some(said(&name, output.status.code(), yes)),
        }
    }
    None
}

fn lacks_plugin(output: &Output) -> bool {
    let said = String::from_utf8_lossy(&output.stderr);
    // dnf 4, and dnf 5.
    ["No such command", "Unknown argument"].iter().any(|text| said.contains(text))
}

fn said(command: &str, code: Option<i32>, yes: i32) -> RebootRequired {
    match code {
        Some(0) => RebootRequired::No,
        Some(code) if code == yes => RebootRequired::Yes(format!("`{command}` says so")),
        Some(code) => RebootRequired::CannotTell(format!("`{command}` ended with {code}")),
        None => RebootRequired::CannotTell(format!("`{command}` was killed")),
    }
}

async fn by(argv: &[String]) -> Result<Option<i32>, NotEnded> {
    output(argv).await.map(|output| output.status.code())
}

async fn output(argv: &[impl AsRef<OsStr>]) -> Result<Output, NotEnded> {
    let mut command = program::command(argv);
    // The texts that are looked for are English.
    command.env("LC_ALL", "C").stdout(Stdio::piped()).stderr(Stdio::piped());
    program::run(&mut command, "", TOOL_LIMIT).await
}

#[cfg(test)]
mod tests;
