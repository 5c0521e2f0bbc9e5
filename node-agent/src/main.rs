//! The agent's one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    node_agent::run(std::env::args_os())
}
