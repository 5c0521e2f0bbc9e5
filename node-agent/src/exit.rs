//! Exit codes, as documented in README.md. Never 137, 168 or 169: the SSM agent gives those a meaning of its own.

/// Done as asked.
pub const DONE: u8 = 0;
/// The maintenance failed and the node is back in service; for `check`: no.
pub const FAILED: u8 = 1;
/// The command line, the configuration or the estate has to be changed first; nothing was done.
pub const USAGE: u8 = 2;
/// Halted: out of service or in doubt, the lease is kept, a person is needed.
pub const HALTED: u8 = 3;
/// Nothing was changed; try again later.
pub const NOTHING_CHANGED: u8 = 75;
/// Asks the SSM agent for a reboot.
pub const REBOOT: u8 = 194;
