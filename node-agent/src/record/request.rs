//! What a client requests.

use crate::settings::Settings;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A request for a maintenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// A random id, or the id of a script under the SSM agent, which its second run has as well.
    pub id: String,
    /// Stay out after the drain, until `rejoin`.
    pub stay_out: bool,
    /// When to reboot.
    pub reboot: RebootWhen,
    /// The SSM agent runs the client: it reboots the machine when the client exits with 194.
    pub under_ssm: bool,
    /// Program and arguments to run once drained; empty: none.
    pub command: Vec<String>,
    /// The end of the maintenance window: after it, no maintenance starts, and one that has not left service gives up.
    #[serde(default)]
    pub not_after: Option<Timestamp>,
    /// The settings in force.
    #[serde(with = "crate::settings::on_record")]
    pub settings: Settings,
}

impl Request {
    /// A request without any work yet.
    pub fn new(id: String, settings: Settings) -> Request {
        Request {
            id,
            stay_out: false,
            reboot: RebootWhen::Never,
            under_ssm: false,
            command: Vec::new(),
            not_after: None,
            settings,
        }
    }

    /// Whether both requests are for equal work.
    pub fn same_work(&self, other: &Request) -> bool {
        (self.stay_out, self.reboot, &self.command) == (other.stay_out, other.reboot, &other.command)
    }

    /// A short name for the work (FNV-1a). Its input never changes from version to version.
    pub fn work_hash(&self) -> u32 {
        let stay_out = if self.stay_out { "true" } else { "false" };
        let reboot = match self.reboot {
            RebootWhen::Never => "Never",
            RebootWhen::IfRequired => "IfRequired",
            RebootWhen::Always => "Always",
        };
        let words = [stay_out, reboot].into_iter().chain(self.command.iter().map(String::as_str));
        let bytes = words.flat_map(|word| word.bytes().chain([0]));
        bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }

    /// The id of this work in a script under the SSM agent: of the command or the association, of the work, because one
    /// script can ask for several, and of the run, because an association has one id for ever. Never changes from version to
    /// version: the second run may be made by a newer one.
    pub fn script_id(&self, command_id: &str, run: Option<&str>) -> String {
        let run = run.map(|run| format!(".{:016x}", run_hash(run))).unwrap_or_default();
        format!("{command_id}.{:08x}{run}", self.work_hash())
    }
}

/// A short name for one run of a script (FNV-1a).
fn run_hash(run: &str) -> u64 {
    run.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// When to reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum RebootWhen {
    /// Do not reboot.
    Never,
    /// Reboot if the command or the operating system requires it.
    IfRequired,
    /// Reboot in any case.
    Always,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_run_under_ssm_is_the_same_in_every_version() {
        let hash = |stay_out, reboot, command: &[&str]| {
            let command = command.iter().map(ToString::to_string).collect();
            let empty = Request::new("one".to_owned(), Settings::default());
            format!("{:08x}", Request { stay_out, reboot, command, ..empty }.work_hash())
        };
        assert_eq!(
            [
                hash(true, RebootWhen::Never, &[]),
                hash(false, RebootWhen::Always, &[]),
                hash(false, RebootWhen::IfRequired, &["dnf", "-y", "upgrade"]),
                hash(false, RebootWhen::Never, &["a b"]),
                hash(false, RebootWhen::Never, &["a", "b"]),
            ],
            ["387b0f61", "3737d02f", "b928dccc", "3d69c015", "dff4bc75"]
        );
        let empty = Request::new("one".to_owned(), Settings::default());
        let drain = Request { stay_out: true, ..empty };
        let id = |run| drain.script_id("11111111-2222-3333-4444-555555555555", run);
        let path = "/var/lib/amazon/ssm/i-0123456789abcdef0/document/orchestration/\
                    11111111-2222-3333-4444-555555555555/2026-11-24T02-00-00.000Z/drain/_script.sh";
        assert_eq!(
            [id(None), id(Some("")), id(Some("a")), id(Some(path))],
            [
                "11111111-2222-3333-4444-555555555555.387b0f61",
                "11111111-2222-3333-4444-555555555555.387b0f61.cbf29ce484222325",
                "11111111-2222-3333-4444-555555555555.387b0f61.af63dc4c8601ec8c",
                "11111111-2222-3333-4444-555555555555.387b0f61.1218061bbc487262",
            ]
        );
    }
}
