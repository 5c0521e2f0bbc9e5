//! The model as stateright takes it, and the properties.

use crate::enabled::enabled;
use crate::next::next;
use crate::setup::Setup;
use crate::state::State;
use crate::step::Action;
use stateright::{Checker, HasDiscoveries, Model, Path, Property};
use tokio::time::Instant;

pub const AT_MOST_K_OUT: &str = "at most K nodes are out";
pub const NOT_FREED_WHILE_OUT: &str = "no node that is out gives up its lease";
pub const K_AT_ONCE: &str = "K nodes are out at once";

impl Model for Setup {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.k, self.budget)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        enabled(self, state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(next(self, state, action))
    }

    fn properties(&self) -> Vec<Property<Setup>> {
        let at_most_k = Property::always(AT_MOST_K_OUT, |_: &Setup, state: &State| at_most_k_out(state));
        if self.without.is_some() {
            return vec![at_most_k];
        }
        vec![
            at_most_k,
            Property::always(NOT_FREED_WHILE_OUT, |_: &Setup, state: &State| !state.freed_while_out),
            // A model in which nothing happens would have the other two as well.
            Property::sometimes(K_AT_ONCE, |setup: &Setup, state: &State| {
                state.nodes.iter().filter(|node| node.is_out()).count() == usize::from(setup.k)
            }),
        ]
    }
}

/// The smallest K among those that are out counts.
fn at_most_k_out(state: &State) -> bool {
    let out = || state.nodes.iter().filter(|node| node.is_out());
    out().all(|node| out().count() <= usize::from(node.k))
}

/// Explores everything; panics with the steps when a property does not hold.
pub fn holds(setup: Setup) -> usize {
    let began = Instant::now();
    let name = setup.name;
    let checker = setup.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    for property in [AT_MOST_K_OUT, NOT_FREED_WHILE_OUT] {
        if let Some(path) = checker.discovery(property) {
            panic!("{name}: it is not so that {property}:\n{}", in_words(path));
        }
    }
    assert!(checker.discovery(K_AT_ONCE).is_some(), "{name}: nobody ever leaves");
    let states = checker.unique_state_count();
    let seconds = began.elapsed().as_secs_f64();
    println!("{states:>10} states, {:>3} steps deep, {seconds:>5.1} s: {name}", checker.max_depth());
    states
}

/// Expects a way to more than K nodes out, and prints it.
pub fn fails(setup: Setup) {
    let name = setup.name;
    let rule = setup.without;
    let checker = setup.checker().threads(1).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let Some(path) = checker.discovery(AT_MOST_K_OUT) else {
        panic!("{name}: without {rule:?} nothing goes wrong in {} states", checker.unique_state_count());
    };
    println!("Without {:?} ({name}): {}", rule.unwrap(), in_words(path));
}

fn in_words(path: Path<State, Action>) -> String {
    let actions = path.into_actions();
    let steps = actions.iter().enumerate().map(|(n, action)| format!("{:>4}. {action}\n", n + 1));
    format!("{} steps\n{}", actions.len(), steps.collect::<String>())
}
