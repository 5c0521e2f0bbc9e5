//! The kinds of maintenance that are played.

use crate::fleet::{Fleet, Node, fleet};
use crate::trouble::ANOTHER_ADDRESS;
use node_agent::record::{RebootWhen, Request};
use std::time::Duration;

/// One kind of maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Reboot,
    Command,
    CommandAndReboot,
    /// A command that asks for the reboot itself, with exit code 194.
    CommandAsksForReboot,
    /// The SSM agent makes the reboot.
    UnderSsm,
    DrainAndRejoin,
    TwoGroups,
    PortOverrides,
    ByAddress,
}

impl Kind {
    pub const ALL: [Kind; 9] = [
        Kind::Reboot,
        Kind::Command,
        Kind::CommandAndReboot,
        Kind::CommandAsksForReboot,
        Kind::UnderSsm,
        Kind::DrainAndRejoin,
        Kind::TwoGroups,
        Kind::PortOverrides,
        Kind::ByAddress,
    ];

    /// Two nodes, of which the first is maintained.
    pub async fn fleet(self, seed: u64) -> Fleet {
        let two = fleet().nodes(2).seed(seed);
        let fleet = match self {
            Kind::TwoGroups => two.two_groups(),
            Kind::PortOverrides => two.ports(&[8081, 9090]),
            Kind::ByAddress => two.by_address(),
            _ => two,
        };
        let fleet = fleet.start().await;
        fleet.answers_at(0, ANOTHER_ADDRESS);
        let code = if self == Kind::CommandAsksForReboot { 194 } else { 0 };
        *fleet.nodes[0].machine.command.lock().unwrap() = (Duration::from_secs(10), code);
        fleet
    }

    pub fn request(self, node: &Node) -> Request {
        let patch: &[&str] = &["patch"];
        let request = match self {
            Kind::Reboot => node.request(RebootWhen::Always, &[]),
            Kind::CommandAndReboot | Kind::UnderSsm => node.request(RebootWhen::Always, patch),
            Kind::CommandAsksForReboot => node.request(RebootWhen::IfRequired, patch),
            Kind::DrainAndRejoin => node.request(RebootWhen::Never, &[]),
            Kind::Command | Kind::TwoGroups | Kind::PortOverrides | Kind::ByAddress => {
                node.request(RebootWhen::Never, patch)
            }
        };
        Request { stay_out: self == Kind::DrainAndRejoin, under_ssm: self == Kind::UnderSsm, ..request }
    }

    pub fn has_command(self) -> bool {
        !matches!(self, Kind::Reboot | Kind::DrainAndRejoin)
    }

    pub fn reboots(self) -> bool {
        matches!(self, Kind::Reboot | Kind::CommandAndReboot | Kind::CommandAsksForReboot | Kind::UnderSsm)
    }
}
