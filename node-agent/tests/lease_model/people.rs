//! What people and their tools do to the leases of others.

use crate::rules::Rule;
use crate::setup::Setup;
use crate::state::{BREAK_PARTS, Breaking, State};
use crate::step::{Action, Step};
use crate::tag::{Tag, Tags};

/// All tags go at the same moment, and everybody sees it.
pub fn wipe(state: &mut State) {
    state.left.wipes -= 1;
    for node in &mut state.nodes {
        (node.tag, node.older, node.fading) = (Tag::Absent, Tags::EMPTY, Tags::EMPTY);
    }
}

/// Somebody turns a lease into a tag that takes no slot, and everybody sees it.
pub fn turn(state: &mut State, action: Action, tag: Tag) {
    state.left.turns -= 1;
    let Some(node) = state.nodes.get_mut(usize::from(action.node)) else { return };
    (node.tag, node.older, node.fading) = (tag, Tags::EMPTY, Tags::EMPTY);
}

/// `lease break`, step by step.
pub fn breaking(setup: &Setup, state: &mut State, action: Action) {
    let (unseen, on_their_way) = (state.unseen(), state.on_their_way());
    let Some(node) = state.nodes.get_mut(usize::from(action.node)) else { return };
    state.breaking = match (action.step, state.breaking) {
        (Step::Break, _) => {
            state.left.breaks -= 1;
            node.set_tag(Tag::Broken);
            let one_at_a_time = setup.without != Some(Rule::OneBreakAtATime);
            let breaking = Breaking { node: action.node, fading: node.older, part: 0, awaits: unseen };
            one_at_a_time.then_some(breaking)
        }
        (Step::BreakSettles { part }, Some(breaking)) if part < BREAK_PARTS => {
            node.older.remove_all(breaking.fading);
            Some(Breaking { fading: Tags::EMPTY, part, awaits: on_their_way, ..breaking })
        }
        _ => None,
    };
}
