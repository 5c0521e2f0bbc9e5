//! Two target groups, which the nodes ask in different orders: as when ARNs sort otherwise in another version. The
//! slots of one group each are checked elsewhere; here a claim is one step, seen by all, and what counts is that
//! nodes do not wait for each other for ever.

use crate::decisions::id;
use crate::rules::Rule;
use crate::tag::Tag;
use node_agent::lease::policy::Policy;
use node_agent::lease::queue::{HOLD_WHILE_WAITING, gives_back};
use node_agent::lease::{Claim, Leases, Slot};
use stateright::{Model, Property};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

const NODES: usize = 3;
const GROUPS: usize = 2;
const FIRST: Tag = Tag::Held { epoch: 0, k: 1 };

/// K is 1 in both groups.
#[derive(Debug, Clone)]
pub struct TwoGroups {
    pub crashes: u8,
    pub without: Option<Rule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    Acquiring,
    /// A claim has been written, the read that confirms it is due.
    Claimed,
    Out,
    /// In service: gives its leases back, the last one first.
    Releasing,
    Down,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Node {
    at: At,
    /// How many groups' leases it holds, in its own order.
    holds: u8,
    out: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    nodes: [Node; NODES],
    crashes: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Claim,
    Confirm,
    Yield,
    Wait,
    GiveBack,
    Leave,
    BackInService,
    Release,
    Crash,
    Restart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action(u8, Step);

impl Action {
    pub fn lets_out(&self) -> bool {
        matches!(self.1, Step::Leave)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", id(self.0), self.1)
    }
}

impl State {
    /// The group that a node asks for at a place in its order; every other node begins at the other end.
    fn group(node: usize, place: u8) -> usize {
        (usize::from(place) + node) % GROUPS
    }

    fn leases(&self, group: usize) -> Leases {
        let mut tags = BTreeMap::new();
        for (n, node) in self.nodes.iter().enumerate() {
            if (0..node.holds).any(|place| State::group(n, place) == group) {
                tags.insert(format!("node-agent/lease/{}", id(n as u8)), FIRST.value().unwrap_or_default());
            }
        }
        Leases::from_tags(&tags)
    }

    fn free(&self, me: usize, group: usize) -> bool {
        self.leases(group).slot(&id(me as u8), &Policy::default()) == Slot::Free
    }

    fn confirmed(&self, me: usize, group: usize) -> bool {
        self.leases(group).confirm(&id(me as u8), "nonce0", &Policy::default()) == Claim::Confirmed
    }

    fn steps(&self, me: usize, without: Option<Rule>) -> Vec<Step> {
        let node = self.nodes[me];
        let wanted = State::group(me, node.holds);
        let mut steps = match node.at {
            At::Acquiring if node.holds as usize == GROUPS => vec![Step::Leave],
            At::Acquiring if self.free(me, wanted) => vec![Step::Claim],
            At::Acquiring => {
                let waited = HOLD_WHILE_WAITING + Duration::from_secs(1);
                let gives_back = gives_back(node.holds > 0, waited) && without != Some(Rule::GiveBack);
                vec![if gives_back { Step::GiveBack } else { Step::Wait }]
            }
            At::Claimed => {
                let settled = State::group(me, node.holds - 1);
                vec![if self.confirmed(me, settled) { Step::Confirm } else { Step::Yield }]
            }
            At::Out => vec![Step::BackInService],
            At::Releasing => vec![Step::Release],
            At::Down => vec![Step::Restart],
        };
        if self.crashes > 0 && node.at != At::Down {
            steps.push(Step::Crash);
        }
        steps
    }
}

impl Model for TwoGroups {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let node = Node { at: At::Acquiring, holds: 0, out: false };
        vec![State { nodes: [node; NODES], crashes: self.crashes }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for me in 0..NODES {
            actions.extend(state.steps(me, self.without).into_iter().map(|step| Action(me as u8, step)));
        }
    }

    fn next_state(&self, before: &State, Action(me, step): Action) -> Option<State> {
        let mut state = before.clone();
        let node = &mut state.nodes[usize::from(me)];
        match step {
            Step::Claim => (node.at, node.holds) = (At::Claimed, node.holds + 1),
            Step::Confirm => node.at = At::Acquiring,
            Step::Yield => (node.at, node.holds) = (At::Acquiring, node.holds - 1),
            Step::Wait => return None,
            Step::GiveBack => node.at = At::Releasing,
            Step::Leave => (node.at, node.out) = (At::Out, true),
            Step::BackInService => (node.at, node.out) = (At::Releasing, false),
            Step::Release => {
                node.holds = node.holds.saturating_sub(1);
                node.at = if node.holds == 0 { At::Acquiring } else { At::Releasing };
            }
            Step::Crash => {
                node.at = At::Down;
                state.crashes -= 1;
            }
            Step::Restart => node.at = if node.out { At::Out } else { At::Releasing },
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<TwoGroups>> {
        // Everybody is in both groups.
        vec![Property::always("at most one node is out", |_, state: &State| {
            state.nodes.iter().filter(|node| node.out).count() <= 1
        })]
    }
}
