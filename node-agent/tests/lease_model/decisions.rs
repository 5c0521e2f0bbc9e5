//! What the agent decides on one read: the shipped functions, called with the real strings, and remembered.

use crate::rules::Rule;
use crate::state::MOST_NODES;
use crate::tag::{Tag, nonce};
use jiff::Timestamp;
use node_agent::aws::target_group::{Attributes, OwnIds, Target, TargetHealth, TargetState};
use node_agent::lease::capacity::{self, Allowance, GroupView, Shortage};
use node_agent::lease::policy::Policy;
use node_agent::lease::quarantine::{self, Restart};
use node_agent::lease::queue::{self, DEAD_AFTER, Move, Pace, Standing, Ticket, Watched};
use node_agent::lease::{Claim, Leases, operator};
use node_agent::machine::time::Moment;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;
use std::time::Duration;

const Q: Duration = Duration::from_secs(900);

/// What one read showed one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seen {
    pub me: u8,
    pub nodes: u8,
    pub tags: [Tag; MOST_NODES],
    /// Who is healthy, as a set of bits.
    pub healthy: u8,
    pub k: u8,
}

/// What to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Question {
    /// Next move about a slot. `long`: the others have been watched for so long that those who wait count as dead.
    Move { queued: bool, long: bool },
    /// Does the settled claim stand?
    Confirm { epoch: u8 },
    /// May we leave? `guard`: the health of the group counts too; `out`: we are on record as out already.
    Validate { epoch: u8, guard: bool, out: bool },
    /// We have left: are the others enough?
    LookAgain,
    /// Has our lease been wiped, or turned into a tag that takes no slot?
    Keep,
    /// Do we hold a lease that the record knows nothing of?
    Ghost,
    /// May an operator break this node's lease?
    Break,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    /// Go on: claim under this K, confirmed, leave, write again, remove.
    Yes {
        k: u8,
    },
    Join,
    No,
    Broken,
}

/// Decides, with the broken version of one rule if one is taken out.
pub fn decide(question: Question, seen: &Seen, without: Option<Rule>) -> Answer {
    type Memory = HashMap<(Question, Seen, Option<Rule>), Answer>;
    thread_local!(static MEMORY: RefCell<Memory> = RefCell::default());
    let key = (question, *seen, without);
    MEMORY.with_borrow_mut(|memory| *memory.entry(key).or_insert_with(|| ask(question, seen, without)))
}

fn ask(question: Question, seen: &Seen, without: Option<Rule>) -> Answer {
    let tags = seen.group_tags();
    let leases = Leases::from_tags(&tags);
    let policy = Policy::from_tags(&tags).expect("the model writes policies that can be read");
    let me = id(seen.me);
    match question {
        Question::Move { queued, long } => next_move(&leases, &policy, seen, queued, long),
        Question::Confirm { epoch } => confirm(&leases, &policy, seen, epoch, without),
        Question::Validate { epoch, guard, out } => {
            match confirm(&leases, &policy, seen, epoch, without) {
                Answer::Yes { .. } => (),
                other => return other,
            }
            let started = out || leases.may_start(&me, &policy).is_ok();
            yes_if(started && (!guard || spared(&leases, &policy, seen, out, without)))
        }
        Question::LookAgain => yes_if(seen.ask_guard(&leases, &policy, capacity::enough_left)),
        Question::Keep => yes_if(leases.has_lost_its_slot(&me)),
        Question::Break => yes_if(operator::may_break(&tags, &me).is_ok_and(|leases| !leases.is_empty())),
        Question::Ghost => yes_if(leases.of(&me).is_some_and(node_agent::lease::Reading::takes_slot)),
    }
}

fn yes_if(yes: bool) -> Answer {
    if yes { Answer::Yes { k: 0 } } else { Answer::No }
}

fn next_move(leases: &Leases, policy: &Policy, seen: &Seen, queued: bool, long: bool) -> Answer {
    let me = id(seen.me);
    if leases.may_start(&me, policy).is_err() {
        return Answer::No;
    }
    let mut watched = Watched::default();
    watched.look(leases, Duration::ZERO);
    let now = if long { DEAD_AFTER } else { Duration::ZERO };
    let ticket = queued.then(|| Ticket { number: 1, nonce: nonce(0), sequence: 0 });
    let standing =
        Standing { me: &me, ticket: ticket.as_ref(), registered: usize::from(seen.nodes), tags: MOST_NODES };
    let pace = Pace { fleet_rate: 2.0, hold: Q, settle: Q, next_in_line: Q };
    match queue::next_move(leases, policy, standing, &watched, now, &pace, 0.0) {
        Move::Claim => Answer::Yes { k: u8::try_from(leases.slots(&me, policy)).expect("K is 1 or 2") },
        Move::Join(_) => Answer::Join,
        Move::Queue(..) | Move::Outside(_) => Answer::No,
    }
}

fn confirm(leases: &Leases, policy: &Policy, seen: &Seen, epoch: u8, without: Option<Rule>) -> Answer {
    let epoch = match seen.tags[usize::from(seen.me)] {
        Tag::Held { epoch, .. } if without == Some(Rule::OwnEpoch) => epoch,
        _ => epoch,
    };
    match leases.confirm(&id(seen.me), &nonce(epoch), policy) {
        Claim::StepDown(_) if without == Some(Rule::StepDown) => yes_if(true),
        Claim::Confirmed => yes_if(true),
        Claim::NotVisible | Claim::StepDown(_) => Answer::No,
        Claim::Broken => Answer::Broken,
    }
}

fn spared(leases: &Leases, policy: &Policy, seen: &Seen, out: bool, without: Option<Rule>) -> bool {
    let none = Leases::default();
    let leases = if without == Some(Rule::CombinedTest) { &none } else { leases };
    seen.ask_guard(leases, policy, capacity::may_leave)
        && (out || seen.ask_guard(leases, policy, capacity::may_begin))
}

/// What a node does about its lease when it starts without a record.
pub fn restart(healthy: bool, q_has_passed: bool, without: Option<Rule>) -> Restart {
    let uptime = if q_has_passed { Q } else { Duration::ZERO };
    let quarantine = if without == Some(Rule::RestartWaits) { Duration::ZERO } else { Q };
    quarantine::restart(healthy, Some(uptime), quarantine)
}

/// Whether a request that was sent before a boot counts as past right after it.
pub fn known_past_after_boot(without: Option<Rule>) -> bool {
    static SHIPPED: LazyLock<bool> = LazyLock::new(|| {
        let sent = Moment { boot_id: "first".into(), uptime_ms: 0, utc: Timestamp::UNIX_EPOCH };
        // What the clock says is not to be trusted.
        let now = Moment { boot_id: "second".into(), uptime_ms: 0, utc: Timestamp::UNIX_EPOCH + 2 * Q };
        quarantine::left([sent.at_least_until(&now)], Q).is_none()
    });
    without == Some(Rule::CountsFromBoot) || *SHIPPED
}

/// R2: whether a claim has to wait for an earlier write.
pub fn may_claim(unresolved: bool, without: Option<Rule>) -> bool {
    without == Some(Rule::R2) || quarantine::left(unresolved.then_some(Duration::ZERO), Q).is_none()
}

/// R3: whether the lease may be given back.
pub fn may_release(unresolved_deregister: bool, without: Option<Rule>) -> bool {
    let unresolved = unresolved_deregister && without != Some(Rule::R3);
    quarantine::left(unresolved.then_some(Duration::ZERO), Q).is_none()
}

impl Seen {
    /// The tags of the target group, as DescribeTags tells them.
    fn group_tags(&self) -> BTreeMap<String, String> {
        let lease = |(n, tag): (u8, &Tag)| Some((format!("node-agent/lease/{}", id(n)), tag.value()?));
        let mut tags: BTreeMap<_, _> = (0..).zip(&self.tags).filter_map(lease).collect();
        tags.insert("node-agent/max-unavailable".into(), self.k.to_string());
        tags.insert("node-agent/fleet-size".into(), self.nodes.to_string());
        tags
    }

    fn ask_guard(&self, leases: &Leases, policy: &Policy, question: Guard) -> bool {
        let state = |n: u8| {
            let (health, reason) = match self.healthy & 1 << n != 0 {
                true => (TargetHealth::Healthy, String::new()),
                false => (TargetHealth::Unused, "Target.NotRegistered".to_owned()),
            };
            TargetState {
                target: Target::new(id(n), 80),
                zone: None,
                health,
                reason,
                administrative_override: None,
            }
        };
        let targets: Vec<_> = (0..self.nodes).map(state).collect();
        let attributes = Attributes { cross_zone: true, ..Attributes::default() };
        // Taking the last node out is K's business here, not that of the floor.
        let allowance = Allowance { empty: true, ignore_zones: true };
        let view = GroupView { targets: &targets, leases, policy, attributes: &attributes };
        question(OwnIds { instance: &id(self.me), addresses: &[] }, view, allowance).is_ok()
    }
}

/// One of the guard's questions.
type Guard = fn(OwnIds<'_>, GroupView<'_>, Allowance) -> Result<(), Shortage>;

/// Instance ids of the model.
pub fn id(node: u8) -> String {
    format!("i-{}", char::from(b'a' + node))
}
