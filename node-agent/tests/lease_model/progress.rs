//! Progress: from every state that can be reached, somebody can still be let out.

use stateright::Model;
use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use tokio::time::Instant;

/// The graph of everything that can be reached, backwards.
struct Graph<S> {
    states: HashMap<S, usize>,
    /// For each state where it can be reached from: one step on every way that was found.
    before: Vec<Vec<usize>>,
    /// States from which the very next step lets somebody out.
    letting_out: Vec<usize>,
}

/// A state from which nobody can be let out any more; `Ok`: there is none among so many.
pub fn dead_end<M>(model: &M, lets_out: impl Fn(&M::Action) -> bool) -> Result<usize, String>
where
    M: Model,
    M::State: Hash + Eq + Clone + Debug,
    M::Action: Display,
{
    let graph = explore(model, lets_out);
    let mut good = vec![false; graph.before.len()];
    let mut to_do = graph.letting_out;
    while let Some(state) = to_do.pop() {
        if let Some(seen) = good.get_mut(state).filter(|seen| !**seen) {
            *seen = true;
            to_do.extend(graph.before.get(state).into_iter().flatten());
        }
    }
    match good.iter().position(|good| !good) {
        None => Ok(good.len()),
        Some(dead) => {
            let state = graph.states.iter().find(|(_, number)| **number == dead);
            Err(format!("{:#?}", state.map(|(state, _)| state)))
        }
    }
}

fn explore<M>(model: &M, lets_out: impl Fn(&M::Action) -> bool) -> Graph<M::State>
where
    M: Model,
    M::State: Hash + Eq + Clone,
{
    let mut graph = Graph { states: HashMap::new(), before: Vec::new(), letting_out: Vec::new() };
    let mut to_do = Vec::new();
    for state in model.init_states() {
        graph.number(&state);
        to_do.push(state);
    }
    let mut actions = Vec::new();
    while let Some(state) = to_do.pop() {
        let from = graph.number(&state).0;
        model.actions(&state, &mut actions);
        for action in actions.drain(..) {
            let letting_out = lets_out(&action);
            let Some(next) = model.next_state(&state, action) else { continue };
            let (number, new) = graph.number(&next);
            if let Some(before) = graph.before.get_mut(number) {
                before.push(from);
            }
            if letting_out {
                graph.letting_out.push(from);
            }
            if new {
                to_do.push(next);
            }
        }
    }
    graph
}

impl<S: Hash + Eq + Clone> Graph<S> {
    /// The state's number, and whether it is new.
    fn number(&mut self, state: &S) -> (usize, bool) {
        if let Some(number) = self.states.get(state) {
            return (*number, false);
        }
        let number = self.before.len();
        self.states.insert(state.clone(), number);
        self.before.push(Vec::new());
        (number, true)
    }
}

/// Panics with a dead end if there is one.
pub fn always_goes_on<M>(name: &str, model: &M, lets_out: impl Fn(&M::Action) -> bool)
where
    M: Model,
    M::State: Hash + Eq + Clone + Debug,
    M::Action: Display,
{
    let began = Instant::now();
    match dead_end(model, lets_out) {
        Ok(states) => {
            println!("{states:>10} states, no dead end, {:>5.1} s: {name}", began.elapsed().as_secs_f64());
        }
        Err(state) => panic!("{name}: from here nobody can be let out any more: {state}"),
    }
}
