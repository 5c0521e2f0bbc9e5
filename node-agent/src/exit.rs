//! Exit codes: the one table of them, which the help and docs/exit-codes.md show. Never 137, 168 or 169: the SSM agent gives
//! those a meaning of its own.

use std::fmt::Write;

/// Success; for `check`: yes.
pub const DONE: u8 = 0;
/// The maintenance failed and the node is back in service; for `check`: no.
pub const FAILED: u8 = 1;
/// For an operator: done in part.
pub const IN_PART: u8 = 1;
/// Refused: the command line, the configuration or the target group has to be changed first. Nothing was changed.
pub const USAGE: u8 = 2;
/// Halted: the node is out of service or in doubt, keeps its lease and needs an operator.
pub const HALTED: u8 = 3;
/// Nothing was changed; try again later.
pub const NOTHING_CHANGED: u8 = 75;
/// For the unit: the configuration cannot be used, and nothing is on record. systemd does not restart it.
pub const CONFIG: u8 = 78;
/// Requests a reboot from the SSM agent.
pub const REBOOT: u8 = 194;

/// What a code means for some verbs.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The code.
    pub code: u8,
    /// The verbs that can end with it.
    pub verbs: &'static [&'static str],
    /// What it means.
    pub meaning: &'static str,
}

const fn row(code: u8, verbs: &'static [&'static str], meaning: &'static str) -> Row {
    Row { code, verbs, meaning }
}

const NODE: &[&str] = &["maintain", "drain", "resume", "rejoin"];
const OPERATOR: &[&str] = &["lease break", "lease clear", "lease gc", "pause", "unpause"];
#[rustfmt::skip]
const BOTH: &[&str] =
    &["maintain", "drain", "resume", "rejoin", "lease break", "lease clear", "lease gc", "pause", "unpause"];

/// Every verb with every code that it can end with.
pub const TABLE: [Row; 17] = [
    row(DONE, BOTH, "done, or nothing to do"),
    row(DONE, &["check"], "yes"),
    row(DONE, &["status"], "what could be read is shown"),
    row(DONE, &["idle"], "no maintenance is in progress"),
    row(DONE, &["shutdown-guard"], "drained, or nothing to do"),
    row(FAILED, NODE, "failed; the node is back in service, unless all its target groups were deleted"),
    row(IN_PART, OPERATOR, "done in part; the message says what was not done"),
    row(FAILED, &["check"], "no, or it cannot tell"),
    row(FAILED, &["idle"], "a maintenance is in progress, or the record cannot be read"),
    row(FAILED, &["shutdown-guard"], "not drained"),
    row(USAGE, BOTH, "refused: change the arguments, configuration or target group; nothing was changed"),
    row(USAGE, &["check", "status"], "nothing can be read: change the arguments or the configuration"),
    row(
        HALTED,
        NODE,
        "halted, or possibly out of service: a person has to act (node-agent status shows the reason)",
    ),
    row(NOTHING_CHANGED, NODE, "nothing was changed; try again later"),
    row(NOTHING_CHANGED, OPERATOR, "nothing was changed for certain: look, then try again"),
    row(NOTHING_CHANGED, &["status"], "nothing can be read now; try again later"),
    row(REBOOT, &["maintain"], "requests a reboot from the SSM agent"),
];

/// For the help of the program.
pub(crate) fn help() -> String {
    let mut text = "Exit codes:\n".to_owned();
    let mut above = None;
    for Row { code, verbs, meaning } in TABLE {
        let shown = if above == Some(code) { String::new() } else { code.to_string() };
        let _ = writeln!(text, "  {shown:<4} {}:\n         {meaning}", verbs.join(", "));
        above = Some(code);
    }
    text
}

/// For docs/exit-codes.md.
pub fn page() -> String {
    let mut text = "| code | verbs | meaning |\n|---|---|---|\n".to_owned();
    for Row { code, verbs, meaning } in TABLE {
        let verbs: Vec<_> = verbs.iter().map(|verb| format!("`{verb}`")).collect();
        let meaning = meaning.replace("node-agent status", "`node-agent status`");
        let _ = writeln!(text, "| {code} | {} | {meaning} |", verbs.join(", "));
    }
    text
}
