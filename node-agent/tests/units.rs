//! The systemd units, as systemd itself judges them. Where it is not installed there is nothing to ask.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test says what it expects by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Our units, and the exposure that each may have at the most, in tenths (0: none, 100: all).
const UNITS: [(&str, u32); 4] = [
    ("node-agent.service", 96),
    ("node-agent-guard.service", 20),
    ("node-agent-reboot.service", 45),
    ("hello-service.service", 15),
];

/// Our units that are no services: they have no processes.
const OTHERS: [&str; 1] = ["node-agent-reboot.timer"];

fn source(unit: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd").join(unit)
}

fn systemd_analyze(arguments: &[&str], unit: &Path) -> Option<Output> {
    match Command::new("systemd-analyze").args(arguments).arg(unit).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: systemd-analyze is not installed");
            None
        }
        Err(error) => panic!("failed to run systemd-analyze: {error}"),
    }
}

#[test]
fn systemd_understands_every_line_of_our_units() {
    let dir = tempfile::tempdir().unwrap();
    let units = || UNITS.map(|(unit, _)| unit).into_iter().chain(OTHERS);
    for unit in units() {
        // The binaries are where the package puts them, not here.
        let text = std::fs::read_to_string(source(unit)).unwrap();
        let text =
            text.replace("/usr/bin/node-agent", "/bin/true").replace("/usr/bin/hello-service", "/bin/true");
        std::fs::write(dir.path().join(unit), text).unwrap();
    }
    for unit in units() {
        let Some(verified) = systemd_analyze(&["verify", "--man=no"], &dir.path().join(unit)) else { return };
        let said = String::from_utf8_lossy(&verified.stderr);
        // It also looks at what our units depend on; other packages' units are not ours to correct.
        let about_us: Vec<_> =
            said.lines().filter(|line| line.contains("node-agent") || line.contains("hello")).collect();
        assert!(about_us.is_empty(), "{unit}: {about_us:?}");
    }
}

#[test]
fn no_unit_is_more_exposed_than_it_has_to_be() {
    for (unit, most) in UNITS {
        let most = most.to_string();
        let arguments = ["security", "--offline=true", "--no-pager", "--threshold", &most];
        let Some(judged) = systemd_analyze(&arguments, &source(unit)) else { return };
        let said = String::from_utf8_lossy(&judged.stderr);
        if said.contains("unrecognized option") {
            eprintln!("skipped: this systemd-analyze is too old to judge a unit that is not installed");
            return;
        }
        let verdict = String::from_utf8_lossy(&judged.stdout);
        let verdict = verdict.lines().last().unwrap_or_default();
        assert!(judged.status.success(), "{unit} may have {most} at the most: {verdict}{said}");
    }
}
