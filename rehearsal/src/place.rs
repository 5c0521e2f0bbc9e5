//! The addresses and files of a node.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

/// The addresses and files of a node.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// `node-1`
    pub name: String,
    pub instance_id: String,
    pub address: Ipv4Addr,
    pub port: u16,
    /// The directory of all the node's files.
    pub directory: PathBuf,
    /// URL of the load balancer's API, shared by all nodes.
    pub api_url: String,
    /// URL of the node's instance metadata service.
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

    /// The agent's reboot command creates this file. The node is rebooted when it appears.
    pub(crate) fn reboot_request_path(&self) -> PathBuf {
        self.directory.join("reboot-requested")
    }
}
