//! The one place that asks the shipped code where a restarted node goes on.

use crate::decisions::id;
use crate::state::{Leave, Node};
use crate::step::After;
use crate::tag::{NO_CLAIM, nonce};
use jiff::Timestamp;
use node_agent::aws::target_group::{Attributes, HealthCheck, Target, TargetType};
use node_agent::machine::time::Moment;
use node_agent::record::phase::Phase;
use node_agent::record::{ClaimOnRecord, Group, InDoubt, Operation, Request, TicketOnRecord};
use node_agent::settings::Settings;
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

/// One maintenance does not outlast so many boots.
const MANY_BOOTS: u32 = 100;

/// What a restart depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OnRecord {
    pub phase: Phase,
    pub leave: Leave,
    pub claim: bool,
    pub ticket: bool,
    pub unresolved_tag: bool,
    pub unresolved_deregister: bool,
    pub after: After,
}

/// Where it goes on, and whether `out` is still on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoesOn {
    pub phase: Phase,
    pub out: bool,
}

impl OnRecord {
    /// Of a node that is down.
    pub fn of(node: &Node, phase: Phase, after: After) -> OnRecord {
        let claim = node.epoch != NO_CLAIM;
        OnRecord {
            phase,
            leave: node.leave,
            claim,
            ticket: !claim && node.leave == Leave::NotYet,
            unresolved_tag: node.unresolved_tag,
            unresolved_deregister: node.unresolved_deregister,
            after,
        }
    }

    fn operation(self) -> Operation {
        let crashed = moment("first");
        let out = self.leave != Leave::NotYet;
        let request = Request::new("model".into(), Settings::default());
        Operation {
            phase: self.phase,
            groups: vec![self.group(&crashed)],
            left: out.then(|| crashed.clone()),
            ..Operation::new(request, crashed)
        }
    }

    fn group(self, crashed: &Moment) -> Group {
        let claim = ClaimOnRecord { nonce: nonce(0), max_unavailable: 1, at: crashed.utc };
        let ticket = TicketOnRecord { number: 1, nonce: nonce(0), sequence: 0, written: crashed.clone() };
        let sent = match self.leave {
            Leave::NotYet | Leave::Found => false,
            Leave::OnRecord => self.phase != Phase::Deregister,
            Leave::Sent => true,
        };
        let in_doubt =
            |unresolved: bool| if unresolved { InDoubt::since(crashed.clone()) } else { InDoubt::default() };
        Group {
            arn: "arn".into(),
            name: "group".into(),
            target_type: TargetType::Instance,
            port: None,
            address: None,
            health_check: HealthCheck {
                http2: false,
                https: false,
                port: None,
                path: "/".into(),
                timeout: Duration::from_secs(1),
                matcher: "200".into(),
            },
            pairs: vec![Target::new(id(0), 80)],
            joined: Vec::new(),
            attributes: Attributes::default(),
            registered: 2,
            ticket: self.ticket.then_some(ticket),
            claim: self.claim.then_some(claim),
            failed_before: false,
            not_in_use: false,
            other_keys: Vec::new(),
            deregistered: (sent && !self.unresolved_deregister).then(|| crashed.clone()),
            deregisters_in_doubt: in_doubt(self.unresolved_deregister),
            tags_in_doubt: in_doubt(self.unresolved_tag),
            gone: false,
        }
    }
}

/// Asks the shipped code where a new process goes on.
pub fn restarted(record: OnRecord) -> GoesOn {
    thread_local!(static MEMORY: RefCell<HashMap<OnRecord, GoesOn>> = RefCell::default());
    MEMORY.with_borrow_mut(|memory| {
        *memory.entry(record).or_insert_with(|| {
            let mut operation = record.operation();
            if record.after == After::TooManyBoots {
                operation.boots = MANY_BOOTS;
            }
            operation
                .apply_restart(&moment(if record.after == After::Crash { "first" } else { "second" }))
                .unwrap();
            GoesOn { phase: operation.phase, out: operation.left.is_some() }
        })
    })
}

fn moment(boot: &str) -> Moment {
    Moment { boot_id: boot.into(), uptime_ms: 0, utc: Timestamp::UNIX_EPOCH }
}
