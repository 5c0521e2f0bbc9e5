//! What a step does.

use crate::crash::crash;
use crate::decisions::Answer;
use crate::enabled::value;
use crate::people::{breaking, turn, wipe};
use crate::setup::Setup;
use crate::state::{At, Intent, Leave, Node, State};
use crate::step::{Action, Step};
use crate::tag::{EPOCHS, NO_CLAIM, Tag, Tags};

/// The world after a step.
pub fn next(setup: &Setup, before: &State, action: Action) -> State {
    let mut state = before.clone();
    let me = usize::from(action.node);
    let mut node = state.nodes[me];
    match action.step {
        Step::Wipe => wipe(&mut state),
        Step::Turn(tag) => turn(&mut state, action, tag),
        Step::Break | Step::BreakSettles { .. } => breaking(setup, &mut state, action),
        Step::ChangeK => {
            state.left.changes_of_k -= 1;
            state.older_k = Some(state.k);
            state.k = 3 - state.k;
        }
        step => {
            own_step(setup, &mut state, &mut node, step);
            state.nodes[me] = node;
        }
    }
    if setup.snapshots
        && state.tags() != before.tags()
        && let Err(place) = state.past.binary_search(&before.tags())
    {
        state.past.insert(place, before.tags());
    }
    refresh(&mut state);
    // Snapshots of the past know the nonces by their names.
    if !setup.snapshots {
        (0..setup.nodes).for_each(|n| state.put_nonces_in_order(n));
    }
    let asked_for_out = setup.budget.wipes + setup.budget.turns > 0 || state.left.crashes > 0;
    (0..setup.nodes).for_each(|n| state.nodes[n].forget_what_was_sent(asked_for_out));
    if setup.symmetric { state.sorted(setup.nodes) } else { state }
}

fn own_step(setup: &Setup, state: &mut State, node: &mut Node, step: Step) {
    match step {
        Step::Claim { .. } | Step::Join | Step::RemoveGhost => begin(setup, state, node, step),
        Step::Acknowledged
        | Step::AcknowledgedTwice
        | Step::NoAnswer
        | Step::Keep { .. }
        | Step::TagLands(_) => {
            tag_write(setup, state, node, step);
        }
        Step::SettledHalf
        | Step::Settled
        | Step::SettleCut
        | Step::GiveUp
        | Step::Confirm(_)
        | Step::Validate(_) => {
            acquire(state, node, step);
        }
        Step::ReadsTooOld
        | Step::Send
        | Step::Rejected
        | Step::Deregistered
        | Step::DeregisteredTwice
        | Step::DeregisterNoAnswer { .. }
        | Step::DeregisterLands => {
            deregister(setup, state, node, step);
        }
        Step::Crash { .. }
        | Step::Restart { .. }
        | Step::RestartWithoutRecord { .. }
        | Step::Terminate { .. } => {
            crash(setup, state, node, step);
        }
        _ => out_and_back(state, node, step),
    }
}

fn begin(setup: &Setup, state: &mut State, node: &mut Node, step: Step) {
    node.failed |= node.at == At::Idle && node.tag == Tag::Failed;
    node.at = match step {
        Step::Claim { k } => {
            node.epoch = fresh_epoch(state, node);
            node.k = k;
            if setup.snapshots {
                state.left.claims -= 1;
            }
            At::Writing(Intent::Claim)
        }
        Step::Join => At::Writing(Intent::Queue),
        _ => {
            take_claim_from_tag(state, node);
            At::Writing(Intent::Release)
        }
    };
}

/// Without a record whatever stands in the tag is taken for a claim, except the mark of a failure.
pub fn take_claim_from_tag(state: &State, node: &mut Node) {
    let k = match node.tag {
        Tag::Absent | Tag::Failed => return,
        Tag::Held { k, .. } | Tag::Halted { k } => k,
        Tag::Waiting | Tag::Broken => 1,
    };
    node.leave = Leave::Found;
    node.epoch = node.tag.epoch().unwrap_or_else(|| fresh_epoch(state, node));
    // The model knows better under which K a node that is out has claimed.
    node.k = if node.k == 0 { k } else { node.k };
}

fn fresh_epoch(state: &State, node: &Node) -> u8 {
    let fresh = (0..EPOCHS).find(|epoch| node.epoch != *epoch && unused(state, node, *epoch));
    fresh.expect("with so many faults the model needs more EPOCHS")
}

/// No trace of this nonce is left anywhere, so that it is as good as a fresh one.
fn unused(state: &State, node: &Node, epoch: u8) -> bool {
    let past = state.past.iter().flat_map(|tags| tags.to_le_bytes()).map(Tag::from_code);
    let mut traces = node.visible().chain(node.late.iter()).chain(past);
    !traces.any(|tag| tag.epoch() == Some(epoch))
}

fn tag_write(setup: &Setup, state: &mut State, node: &mut Node, step: Step) {
    match (step, node.at) {
        (Step::TagLands(tag), _) => {
            node.late.remove(tag);
            write_own(state, node, tag);
        }
        (Step::Keep { answered }, _) => {
            // Not the claim that has settled, so it has a nonce of its own.
            let held = Tag::Held { epoch: fresh_epoch(state, node), k: node.k };
            if answered {
                write_own(state, node, held);
            } else {
                give_up(state, node, held);
            }
        }
        (Step::NoAnswer, At::Writing(intent)) => {
            give_up(state, node, value(node, intent));
            // The next attempt is another claim: the first may land after a wipe, when others have not seen it.
            if intent == Intent::Claim {
                node.epoch = fresh_epoch(state, node);
            }
        }
        (_, At::Writing(intent)) => {
            let value = value(node, intent);
            write_own(state, node, value);
            if step == Step::AcknowledgedTwice {
                state.left.hidden_retries -= 1;
                node.late.insert(value);
            }
            acknowledged(setup, state, node, intent);
        }
        _ => (),
    }
}

fn acknowledged(setup: &Setup, state: &State, node: &mut Node, intent: Intent) {
    match intent {
        Intent::Queue => {
            node.at = At::Queued;
            forget_k(node);
        }
        Intent::Claim if setup.snapshots => node.at = At::Settled,
        Intent::Claim => {
            (node.fading, node.awaits) = (node.older, state.unseen());
            node.at = At::Settling;
        }
        Intent::Halt => node.at = At::Halted,
        Intent::Release => {
            node.at = At::Idle;
            (node.epoch, node.leave, node.fading) = (NO_CLAIM, Leave::NotYet, Tags::EMPTY);
            (node.unresolved_deregister, node.failed) = (false, false);
            forget_k(node);
        }
    }
}

/// Of a node that is out, or will be, all the same, it is still known under which K it claimed.
pub fn forget_k(node: &mut Node) {
    if node.in_service && !node.late_deregister {
        node.k = 0;
    }
}

/// Takes effect: the old value may still be read.
fn write_own(state: &mut State, node: &mut Node, tag: Tag) {
    state.freed_while_out |= node.is_out() && node.tag.takes_slot() && !tag.takes_slot();
    node.set_tag(tag);
}

fn give_up(state: &mut State, node: &mut Node, tag: Tag) {
    state.left.lost_answers -= 1;
    node.late.insert(tag);
    node.unresolved_tag = true;
}

fn acquire(state: &mut State, node: &mut Node, step: Step) {
    state.left.give_ups -= u8::from(step == Step::GiveUp);
    node.at = match (step, node.at) {
        (Step::SettledHalf, _) => {
            fade(node);
            node.awaits = state.on_their_way();
            At::SettlingOn
        }
        (Step::Settled, _) => {
            fade(node);
            At::Settled
        }
        // Older values may still be read.
        (Step::SettleCut, _) => At::Settled,
        (Step::GiveUp, _) => At::Writing(Intent::Release),
        (Step::Confirm(Answer::Yes { .. }), _) => At::Confirmed,
        (Step::Confirm(Answer::Broken), _) => At::Writing(Intent::Release),
        (Step::Confirm(_), _) => {
            // The claim goes off the record before `waiting` goes into the tag.
            node.epoch = NO_CLAIM;
            At::Writing(Intent::Queue)
        }
        (Step::Validate(Answer::Yes { .. }), _) => {
            node.leave = node.leave.max(Leave::OnRecord);
            At::Leaving
        }
        (_, At::Revalidating) => At::Returning,
        _ => At::Writing(Intent::Release),
    };
}

fn fade(node: &mut Node) {
    node.older.remove_all(node.fading);
    node.fading = Tags::EMPTY;
}

fn deregister(setup: &Setup, state: &mut State, node: &mut Node, step: Step) {
    match step {
        Step::DeregisterLands => {
            node.late_deregister = false;
            state.freed_while_out |= !node.tag.takes_slot() && !setup.third_party;
            leave(setup, node);
        }
        Step::Send => node.at = At::Deregistering,
        Step::Rejected => node.at = At::Leaving,
        Step::ReadsTooOld if node.leave == Leave::Sent => node.at = At::Revalidating,
        // Nothing was sent: `out` is taken back.
        Step::ReadsTooOld => (node.at, node.leave) = (At::Confirmed, Leave::NotYet),
        Step::DeregisterNoAnswer { landed } => {
            state.left.lost_answers -= 1;
            (node.unresolved_deregister, node.leave) = (true, Leave::Sent);
            lost_deregister(setup, node, landed);
            // More than T has passed.
            node.at = if setup.third_party { At::Revalidating } else { At::Leaving };
        }
        _ => {
            leave(setup, node);
            node.leave = Leave::Sent;
            node.at = if setup.post_check { At::Left } else { At::Out };
            if step == Step::DeregisteredTwice {
                state.left.hidden_retries -= 1;
                node.late_deregister = true;
            }
        }
    }
}

/// Where T is bounded a request lands at once or never.
pub fn lost_deregister(setup: &Setup, node: &mut Node, landed: bool) {
    match (setup.third_party, landed) {
        (false, _) => node.late_deregister = true,
        (true, true) => leave(setup, node),
        (true, false) => (),
    }
}

pub fn leave(setup: &Setup, node: &mut Node) {
    node.health_stale |= node.in_service && setup.third_party;
    node.in_service = false;
}

fn out_and_back(state: &mut State, node: &mut Node, step: Step) {
    match step {
        Step::TurnBack | Step::Resume | Step::PostCheck(Answer::No | Answer::Broken) => {
            node.at = At::Returning;
        }
        Step::PostCheck(_) => node.at = At::Out,
        Step::Done { failed } => {
            state.left.failures -= u8::from(failed);
            (node.failed, node.at) = (failed, At::Returning);
        }
        Step::Halt => {
            state.left.halts -= 1;
            node.at = At::Writing(Intent::Halt);
        }
        Step::Register => node.at = At::Registered,
        Step::Back => {
            (node.in_service, node.health_stale, node.at) = (true, false, At::InService);
        }
        Step::Release => node.at = At::Writing(Intent::Release),
        Step::QPasses => q_passes(node),
        Step::HealthSeen => node.health_stale = false,
        Step::Collect | Step::Clear => node.set_tag(Tag::Absent),
        _ => (),
    }
}

fn q_passes(node: &mut Node) {
    // It may have landed meanwhile: only a healthy node releases.
    if node.at == At::InService && node.unresolved_deregister {
        node.at = At::Returning;
    }
    if node.at == At::Restarted(false) {
        node.at = At::Restarted(true);
    }
    (node.late, node.late_deregister, node.health_stale) = (Tags::EMPTY, false, false);
    // While the agent is down nobody takes note of it.
    if !matches!(node.at, At::Down(_)) {
        (node.unresolved_tag, node.unresolved_deregister) = (false, false);
    }
}

/// Whoever has left, visibly, or has given up is awaited no longer; a value that came back does not fade.
fn refresh(state: &mut State) {
    let on_their_way = state.on_their_way();
    for node in &mut state.nodes {
        node.awaits &= on_their_way;
        node.fading.retain(node.older);
    }
    if let Some(breaking) = &mut state.breaking {
        breaking.awaits &= on_their_way;
        if let Some(node) = state.nodes.get(usize::from(breaking.node)) {
            breaking.fading.retain(node.older);
        }
    }
}
