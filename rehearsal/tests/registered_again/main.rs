//! Somebody registers a node again while it is out: with its own port, another port, or another of its addresses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

#[path = "../fleet/mod.rs"]
mod fleet;

mod addresses;
mod after_the_window;
mod command;
mod drained;
mod shutdown;

use fleet::{Fleet, Node};
use node_agent::maintenance::context::End;
use node_agent::record::Request;
use node_agent::record::mailbox::Requests;
use tokio::task::JoinHandle;

/// A port of the node besides the one that it was registered with.
const NEW_PORT: u16 = 8081;

/// Drives as the unit does, with a client that waits all the time.
fn driven(node: &Node, request: Request) -> JoinHandle<End> {
    let (mut driver, waits) =
        (node.unit(request), Requests::beside(&node.settings.state_dir).wait().unwrap());
    tokio::task::spawn_local(async move {
        let end = driver.drive_and_stay().await.unwrap();
        drop(waits);
        end
    })
}

/// Somebody registers a port of a node in the first target group.
fn register(fleet: &Fleet, node: usize, port: u16) {
    fleet.alb.register(&fleet.arn, &fleet.nodes[node].target_id, port);
}

/// Whether requests may reach this port of a node.
fn is_registered(fleet: &Fleet, node: usize, port: u16) -> bool {
    let state = fleet.state(&fleet.nodes[node].target_id, port);
    ["initial", "healthy", "unhealthy"].contains(&state.as_str())
}
