//! Which steps can be taken. What a node has decided on a read is part of the step, so that reads which lead to the
//! same decision are one step.

use crate::crash::begins_anew;
use crate::decisions::{Answer, Question, Seen, decide, may_claim, may_release, restart};
use crate::rules::Rule;
use crate::setup::Setup;
use crate::state::{At, Intent, Leave, MOST_NODES, Node, Record, State};
use crate::step::{Action, After, Step};
use crate::tag::{NO_CLAIM, Tag, Tags};
use node_agent::lease::quarantine::Restart;

/// All steps that can be taken from here.
pub fn enabled(setup: &Setup, state: &State, actions: &mut Vec<Action>) {
    for me in 0..setup.nodes {
        let mut add = |step| actions.push(Action { node: me as u8, step });
        own_steps(setup, state, me, &mut add);
        keeping(setup, state, me, &mut add);
        crashes(state, me, &mut add);
        requests_under_way(&state.nodes[me], &mut add);
        people(setup, state, me, &mut add);
    }
    let mut add = |step| actions.push(Action { node: 0, step });
    if state.left.wipes > 0 && state.nodes.iter().any(|node| node.tag != Tag::Absent) {
        add(Step::Wipe);
    }
    if state.left.changes_of_k > 0 {
        add(Step::ChangeK);
    }
}

fn own_steps(setup: &Setup, state: &State, me: usize, add: &mut impl FnMut(Step)) {
    let node = &state.nodes[me];
    let waiting = matches!(node.at, At::Queued | At::Settling | At::SettlingOn | At::Settled | At::Confirmed);
    if waiting && state.left.give_ups > 0 {
        add(Step::GiveUp);
    }
    let ask = |question, health| answers(setup, state, me, question, health);
    match node.at {
        At::Idle | At::Queued => begin(setup, state, me, add),
        At::Settling | At::SettlingOn => settling(setup, node, add),
        At::Writing(_) => {
            add(Step::Acknowledged);
            if state.left.lost_answers > 0 {
                add(Step::NoAnswer);
            }
            if state.left.hidden_retries > 0 {
                add(Step::AcknowledgedTwice);
            }
        }
        At::Settled => {
            let question = Question::Confirm { epoch: node.epoch };
            ask(question, false).into_iter().for_each(|answer| add(Step::Confirm(answer)));
        }
        At::Confirmed | At::Revalidating => {
            let out = node.at == At::Revalidating;
            let question = Question::Validate { epoch: node.epoch, guard: setup.third_party, out };
            ask(question, setup.third_party).into_iter().for_each(|answer| add(Step::Validate(answer)));
        }
        At::Leaving => {
            add(Step::Send);
            add(Step::ReadsTooOld);
            add(Step::TurnBack);
        }
        At::Deregistering => deregistering(setup, state, add),
        At::Left => {
            ask(Question::LookAgain, true).into_iter().for_each(|answer| add(Step::PostCheck(answer)));
        }
        At::Out => {
            add(Step::Done { failed: false });
            if state.left.failures > 0 {
                add(Step::Done { failed: true });
            }
            if state.left.halts > 0 {
                add(Step::Halt);
            }
        }
        At::Halted => add(Step::Resume),
        At::Returning => add(Step::Register),
        At::Registered => {
            add(Step::Back);
            if state.left.halts > 0 {
                add(Step::Halt);
            }
        }
        At::InService if may_release(node.unresolved_deregister, setup.without) => add(Step::Release),
        At::InService => (),
        At::Down(record) => {
            add(Step::Restart { after: After::Boot });
            if record != Record::Lost {
                add(Step::Restart { after: After::Crash });
                if state.left.halts > 0 {
                    add(Step::Restart { after: After::TooManyBoots });
                }
            }
        }
        At::Restarted(_) if begins_anew(setup, node) => {
            add(Step::RestartWithoutRecord { healthy: true });
        }
        At::Restarted(q_has_passed) => {
            for healthy in [node.in_service, node.in_service || node.health_stale] {
                if !matches!(restart(healthy, q_has_passed, setup.without), Restart::Wait(_)) {
                    add(Step::RestartWithoutRecord { healthy });
                }
            }
        }
        At::Terminated if node.tag != Tag::Absent && !node.has_requests_under_way() => add(Step::Collect),
        At::Terminated => (),
    }
}

fn begin(setup: &Setup, state: &State, me: usize, add: &mut impl FnMut(Step)) {
    let node = &state.nodes[me];
    let queued = node.at == At::Queued;
    // A maintenance begins with a healthy node.
    let begins = queued || node.in_service;
    let may_claim = begins
        && may_claim(node.unresolved_tag, setup.without)
        && (!setup.snapshots || state.left.claims > 0);
    let mut moves = Vec::new();
    if setup.queue {
        for long in [false, true] {
            moves.extend(answers(setup, state, me, Question::Move { queued, long }, false));
        }
    } else {
        let with_k = |seen: &Seen| Answer::Yes { k: smallest_k(seen, me) };
        moves.extend(readings(setup, state, me, false).iter().map(with_k));
    }
    moves.sort_unstable();
    moves.dedup();
    for answer in moves {
        match answer {
            Answer::Yes { k } if may_claim => add(Step::Claim { k }),
            Answer::Join if begins => add(Step::Join),
            _ => (),
        }
    }
    // Only a late write can have put it there. It is looked for twice, so a stale read does not pass for one.
    if !queued && node.tag.takes_slot() && yes(&answers(setup, state, me, Question::Ghost, false)) {
        add(Step::RemoveGhost);
    }
}

fn settling(setup: &Setup, node: &Node, add: &mut impl FnMut(Step)) {
    if setup.without == Some(Rule::SettleIsWhole) {
        add(Step::SettleCut);
    }
    match node.at {
        _ if node.awaits != 0 => (),
        At::Settling if setup.third_party => add(Step::SettledHalf),
        _ => add(Step::Settled),
    }
}

/// Without the order of the queue a node claims even when it sees no free slot; K is all that it takes from the read.
fn smallest_k(seen: &Seen, me: usize) -> u8 {
    let others = seen.tags.iter().enumerate().filter(|(n, _)| *n != me);
    others.fold(seen.k, |smallest, (_, tag)| match tag {
        Tag::Held { k, .. } | Tag::Halted { k } => smallest.min(*k),
        _ => smallest,
    })
}

fn deregistering(setup: &Setup, state: &State, add: &mut impl FnMut(Step)) {
    add(Step::Deregistered);
    add(Step::Rejected);
    if state.left.hidden_retries > 0 {
        add(Step::DeregisteredTwice);
    }
    if state.left.lost_answers > 0 {
        add(Step::DeregisterNoAnswer { landed: false });
        if setup.third_party {
            add(Step::DeregisterNoAnswer { landed: true });
        }
    }
}

/// While out, a lease that somebody wiped or turned is written again.
fn keeping(setup: &Setup, state: &State, me: usize, add: &mut impl FnMut(Step)) {
    let node = &state.nodes[me];
    let awake =
        !matches!(node.at, At::Writing(_) | At::Halted | At::Down(_) | At::Restarted(_) | At::Terminated);
    let holding = awake && node.leave != Leave::NotYet && node.epoch != NO_CLAIM;
    // Looks are further apart than a read is stale, so a second one does not take what the first has mended for wiped;
    // unless that write had no answer, and has landed only now.
    let lost = [Tag::Absent, Tag::Waiting, Tag::Failed];
    let landed_now = node.unresolved_tag && lost.iter().any(|tag| node.older == Tags::of(*tag));
    let mended = !lost.contains(&node.tag) && !landed_now;
    if setup.budget.wipes + setup.budget.turns == 0 || !holding || mended {
        return;
    }
    if yes(&answers(setup, state, me, Question::Keep, false)) {
        add(Step::Keep { answered: true });
        if state.left.lost_answers > 0 {
            add(Step::Keep { answered: false });
        }
    }
}

fn crashes(state: &State, me: usize, add: &mut impl FnMut(Step)) {
    let at = state.nodes[me].at;
    if matches!(at, At::Idle | At::Terminated) {
        return;
    }
    let sending = matches!(at, At::Writing(_) | At::Deregistering);
    for in_flight in [false, true].into_iter().filter(|in_flight| sending || !in_flight) {
        if state.left.terminations > 0 {
            add(Step::Terminate { in_flight });
        }
        if state.left.crashes == 0 || matches!(at, At::Down(_) | At::Restarted(_)) {
            continue;
        }
        add(Step::Crash { in_flight, record_lost: false });
        if state.left.records_lost > 0 {
            add(Step::Crash { in_flight, record_lost: true });
        }
    }
}

fn requests_under_way(node: &Node, add: &mut impl FnMut(Step)) {
    node.late.iter().for_each(|tag| add(Step::TagLands(tag)));
    if node.late_deregister {
        add(Step::DeregisterLands);
    }
    if node.has_requests_under_way() || node.at == At::Restarted(false) {
        add(Step::QPasses);
    }
    if node.health_stale {
        add(Step::HealthSeen);
    }
}

fn people(setup: &Setup, state: &State, me: usize, add: &mut impl FnMut(Step)) {
    let node = &state.nodes[me];
    if node.at == At::Idle && node.tag == Tag::Failed {
        add(Step::Clear);
    }
    let in_turn = setup.without == Some(Rule::OneBreakAtATime)
        || state.breaking.is_none() && yes(&answers(setup, state, me, Question::Break, false));
    if state.left.breaks > 0 && in_turn && node.tag.takes_slot() && node.at != At::Terminated {
        add(Step::Break);
    }
    if state.left.turns > 0 && node.tag.takes_slot() && node.at != At::Terminated {
        [Tag::Waiting, Tag::Failed].into_iter().for_each(|tag| add(Step::Turn(tag)));
    }
    let settling = state.breaking.filter(|breaking| usize::from(breaking.node) == me && breaking.awaits == 0);
    if let Some(breaking) = settling {
        add(Step::BreakSettles { part: breaking.part + 1 });
    }
}

/// All decisions that some read allows, each once.
fn answers(setup: &Setup, state: &State, me: usize, question: Question, health: bool) -> Vec<Answer> {
    let seen = readings(setup, state, me, health);
    let mut answers: Vec<_> = seen.iter().map(|seen| decide(question, seen, setup.without)).collect();
    answers.sort_unstable();
    answers.dedup();
    answers
}

fn yes(answers: &[Answer]) -> bool {
    answers.contains(&Answer::Yes { k: 0 })
}

/// Everything that one read may show: for each key any value that is still visible, in any combination.
fn readings(setup: &Setup, state: &State, me: usize, health: bool) -> Vec<Seen> {
    let now = Seen {
        me: me as u8,
        nodes: setup.nodes as u8,
        tags: state.nodes.map(|node| node.tag),
        healthy: (0..setup.nodes).filter(|n| state.nodes[*n].in_service).fold(0, |set, n| set | 1 << n),
        k: state.k,
    };
    let mut readings = vec![now];
    if setup.snapshots {
        readings.extend(state.past.iter().map(|tags| Seen { tags: snapshot(*tags), ..now }));
        return readings;
    }
    for (n, node) in state.nodes.iter().enumerate().take(setup.nodes) {
        let ignored = setup.without == Some(Rule::HeldDoesNotAge) && n != me && node.older.is_empty();
        let ignored = (ignored && node.tag.takes_slot()).then_some(Tag::Absent);
        let others: Vec<Tag> = node.older.iter().chain(ignored).collect();
        for index in 0..readings.len() {
            for tag in &others {
                let mut other = readings[index];
                other.tags[n] = *tag;
                readings.push(other);
            }
        }
        if health && node.health_stale && n != me {
            let stale: Vec<_> =
                readings.iter().map(|seen| Seen { healthy: seen.healthy | 1 << n, ..*seen }).collect();
            readings.extend(stale);
        }
    }
    if let Some(k) = state.older_k {
        let stale: Vec<_> = readings.iter().map(|seen| Seen { k, ..*seen }).collect();
        readings.extend(stale);
    }
    readings
}

fn snapshot(tags: u32) -> [Tag; MOST_NODES] {
    tags.to_le_bytes().map(Tag::from_code)
}

/// What a node writes.
pub fn value(node: &Node, intent: Intent) -> Tag {
    match intent {
        Intent::Queue => Tag::Waiting,
        Intent::Claim => Tag::Held { epoch: node.epoch, k: node.k },
        Intent::Halt => Tag::Halted { k: node.k },
        Intent::Release if node.failed => Tag::Failed,
        Intent::Release => Tag::Absent,
    }
}
