//! One configuration of the model, as a sentence: `fleet("...", 3, 2).crashes(1)`.

use crate::rules::Rule;
use crate::state::Budget;

/// What is checked, and under which assumptions.
#[derive(Debug, Clone)]
pub struct Setup {
    pub name: &'static str,
    pub nodes: usize,
    pub k: u8,
    pub budget: Budget,
    pub without: Option<Rule>,
    /// Claims keep to the order of the queue. Off, any node claims at any time: safety must not depend on it.
    pub queue: bool,
    /// Others write our tags. Then F is known, T is bounded, D is at least S + T + S, and target health counts.
    pub third_party: bool,
    /// The look after DeregisterTargets.
    pub post_check: bool,
    /// Reads show any snapshot of all tags together, however old, and settling does not help.
    pub snapshots: bool,
    /// Take worlds that differ only in which node is which for one.
    pub symmetric: bool,
}

/// So many nodes, of which K may be out.
pub fn fleet(name: &'static str, nodes: usize, k: u8) -> Setup {
    Setup {
        name,
        nodes,
        k,
        budget: Budget::default(),
        without: None,
        queue: false,
        third_party: false,
        post_check: false,
        snapshots: false,
        symmetric: true,
    }
}

impl Setup {
    fn with(mut self, change: impl FnOnce(&mut Budget)) -> Setup {
        change(&mut self.budget);
        self
    }
    pub fn crashes(self, times: u8) -> Setup {
        self.with(|budget| budget.crashes = times)
    }
    pub fn lost_records(self, times: u8) -> Setup {
        self.with(|budget| (budget.crashes, budget.records_lost) = (budget.crashes.max(times), times))
    }
    pub fn lost_answers(self, times: u8) -> Setup {
        self.with(|budget| budget.lost_answers = times)
    }
    pub fn hidden_retries(self, times: u8) -> Setup {
        self.with(|budget| budget.hidden_retries = times)
    }
    pub fn wipes(self, times: u8) -> Setup {
        Setup { third_party: true, ..self.with(|budget| budget.wipes = times) }
    }
    pub fn turns(self, times: u8) -> Setup {
        Setup { third_party: true, ..self.with(|budget| budget.turns = times) }
    }
    pub fn give_ups(self, times: u8) -> Setup {
        self.with(|budget| budget.give_ups = times)
    }
    pub fn breaks(self, times: u8) -> Setup {
        Setup { third_party: true, ..self.with(|budget| budget.breaks = times) }
    }
    pub fn failures(self, times: u8) -> Setup {
        self.with(|budget| budget.failures = times)
    }
    pub fn halts(self, times: u8) -> Setup {
        self.with(|budget| budget.halts = times)
    }
    pub fn terminations(self, times: u8) -> Setup {
        self.with(|budget| budget.terminations = times)
    }
    pub fn changes_of_k(self, times: u8) -> Setup {
        self.with(|budget| budget.changes_of_k = times)
    }
    /// Which node is which makes a difference to the queue.
    pub fn queue(self) -> Setup {
        Setup { queue: true, symmetric: false, ..self }
    }
    pub fn post_check(self) -> Setup {
        Setup { post_check: true, ..self }
    }
    pub fn snapshots(self, claims: u8) -> Setup {
        Setup { snapshots: true, symmetric: false, ..self.with(|budget| budget.claims = claims) }
    }
    /// Nodes keep their names, so that the counterexample can be read.
    pub fn without(self, rule: Rule) -> Setup {
        Setup { without: Some(rule), symmetric: false, ..self }
    }
}
