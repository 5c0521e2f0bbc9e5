//! Rebooting a fleet on one machine: a load balancer, nodes, load, and a count of the requests that failed.
//!
//! The program includes the demo service and the agent. It starts itself as `rehearsal hello-service` and
//! `rehearsal node-agent`, so that every node consists of processes that can be killed.

mod agent;
mod chart;
mod cli;
mod clock;
mod figures;
mod fleet;
mod load;
mod node;
mod place;
mod process;
mod promises;
mod report;
mod sampler;
mod scenario;
mod settings;
mod summary;
mod svg;
mod switched_off;
mod table;
mod view;

use std::{ffi::OsString, process::ExitCode};

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let part = args.get(1).and_then(|part| part.to_str());
    match part {
        Some("hello-service") => {
            process::die_with_parent();
            hello_service::run(args.split_off(1))
        }
        Some("node-agent") => {
            process::die_with_parent();
            node_agent::run(args.split_off(1))
        }
        _ => cli::run(args),
    }
}
