//! Exit codes, as documented in README.md. Never 137, 168 or 169: the SSM agent gives those a meaning of its own.

/// Success; for `check`: yes.
pub const DONE: u8 = 0;
/// The maintenance failed and the node is back in service; for `check`: no.
pub const FAILED: u8 = 1;
/// Refused: the command line, the configuration or the target group has to be changed first. Nothing was changed.
pub const USAGE: u8 = 2;
/// Halted: the node is out of service or in doubt, keeps its lease and needs an operator.
pub const HALTED: u8 = 3;
/// Nothing was changed; try again later.
pub const NOTHING_CHANGED: u8 = 75;
/// Requests a reboot from the SSM agent.
pub const REBOOT: u8 = 194;
