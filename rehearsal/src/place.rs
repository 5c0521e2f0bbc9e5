//! Where a node lives: its addresses and its files.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

/// What a node is found by.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// `node-1`
    pub name: String,
    pub instance_id: String,
    pub address: Ipv4Addr,
    pub port: u16,
    /// Everything the node has on disk.
    pub directory: PathBuf,
    /// The load balancer's API, shared by all nodes.
    pub api_url: String,
    /// The node's own instance metadata service.
    pub imds_url: String,
}

impl Place {
    pub(crate) fn service(&self) -> SocketAddr {
        (self.address, self.port).into()
    }

    pub(crate) fn boot_id_path(&self) -> PathBuf {
        self.directory.join("boot_id")
    }

    pub(crate) fn agent_log(&self) -> PathBuf {
        self.directory.join("agent.log")
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// The agent's reboot command creates this file; the node is rebooted when it appears.
    pub(crate) fn reboot_request_path(&self) -> PathBuf {
        self.directory.join("reboot-requested")
    }
}
