//! A walk through all reachable states: each phase with each event and all facts that can be true there.

use super::tests::IN_SERVICE;
use super::*;
use crate::machine::systemd::GoingDown;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

/// The outcomes of a step. Counters in the steps keep Blocked from repeating for ever.
fn outcomes(phase: Phase, facts: &Facts) -> Vec<Outcome> {
    use Outcome::{Blocked, Cancelled, Failed, Ok as Good};
    let begun = facts.has_begun_command();
    match phase {
        Phase::CheckGroup => vec![Good, Failed, Cancelled],
        Phase::AcquireLease | Phase::Validate => vec![Good, Failed, Blocked, Cancelled],
        Phase::Deregister if facts.sent || facts.forced => vec![Good, Failed, Cancelled],
        Phase::Deregister => vec![Good, Failed, Blocked, Cancelled],
        Phase::Drain => vec![Good, Failed, Blocked, Cancelled],
        Phase::Drained => vec![Good, Blocked],
        Phase::RunCommand if begun => vec![Good, Failed, Cancelled],
        Phase::RunCommand => vec![Good, Failed, Blocked, Cancelled],
        Phase::Reboot => vec![Good, Failed, Blocked, Cancelled],
        Phase::CheckHealth | Phase::Register => vec![Good, Failed],
        Phase::WaitInService => vec![Good, Failed, Blocked],
        Phase::ReleaseLease => vec![Good, Blocked],
        Phase::Done | Phase::Halted => Vec::new(),
    }
}

/// The facts that are possible after a step has ended with this outcome.
fn after(phase: Phase, outcome: Outcome, facts: Facts) -> Vec<Facts> {
    let good = outcome == Outcome::Ok;
    match phase {
        Phase::AcquireLease if good => vec![Facts { holds: true, ..facts }],
        // It fails before or after something was sent.
        Phase::Deregister if good => vec![Facts { sent: true, ..facts }],
        Phase::Deregister if outcome != Outcome::Blocked => vec![facts, Facts { sent: true, ..facts }],
        Phase::RunCommand if good => vec![
            Facts { command: Some(CommandState::Succeeded), ..facts },
            Facts { command: Some(CommandState::Succeeded), drain_again: true, ..facts },
            Facts { command: Some(CommandState::RebootNeeded), reboot_wanted: true, ..facts },
        ],
        Phase::RunCommand if outcome != Outcome::Blocked => {
            vec![Facts { command: Some(CommandState::Failed), ..facts }]
        }
        Phase::Reboot if outcome == Outcome::Failed => {
            vec![facts, Facts { reboot_accepted: true, ..facts }]
        }
        Phase::ReleaseLease if good => vec![Facts { holds: false, ..facts }],
        _ => vec![facts],
    }
}

/// The facts that may be on record when a driver dies in the middle of a step.
fn in_the_middle(phase: Phase, facts: Facts) -> Vec<Facts> {
    match phase {
        Phase::AcquireLease => vec![facts, Facts { holds: true, ..facts }],
        Phase::Deregister => vec![facts, Facts { sent: true, ..facts }],
        Phase::RunCommand if facts.command == Some(CommandState::NotRun) => {
            vec![facts, Facts { command: Some(CommandState::Running), ..facts }]
        }
        Phase::Reboot => vec![facts, Facts { reboot_accepted: true, ..facts }],
        Phase::ReleaseLease => vec![facts, Facts { holds: false, ..facts }],
        _ => vec![facts],
    }
}

type Place = (Phase, Facts);

/// Where an event leads, with the facts that are on record then.
fn step(phase: Phase, event: Event, facts: Facts) -> Place {
    let booted = event == Event::Restarted { booted: true } && phase != Phase::Drained;
    let seen = Facts { boots: (facts.boots + u32::from(booted)).min(MOST_BOOTS + 1), ..facts };
    let next = next(phase, event, &seen).unwrap_or_else(|no_way| panic!("{no_way}: {facts:?}"));
    let cleared = phase == Phase::Deregister && !matches!(next.phase, Phase::Deregister | Phase::Drain);
    let cut_off = next.why == Some(Why::CommandCutOff);
    let after = Facts {
        left: next.phase == Phase::Deregister || seen.left && (!cleared || seen.sent),
        forced: seen.forced || next.forced,
        drain_again: seen.drain_again && phase != Phase::Drain,
        command: if cut_off { Some(CommandState::Failed) } else { seen.command },
        going_down: match event {
            Event::Restarted { .. } => false,
            Event::GoesDown(_) => true,
            Event::Ended(_) | Event::WantedBack => seen.going_down,
        },
        ..seen
    };
    assert!(
        next.phase != Phase::Done || phase == Phase::ReleaseLease || phase == Phase::Done,
        "{phase} ends without releasing its lease"
    );
    (next.phase, after)
}

/// Every event that is possible in a place.
fn ways(place: Place) -> Vec<(Event, Place)> {
    let (phase, facts) = place;
    let mut ways = Vec::new();
    for outcome in outcomes(phase, &facts) {
        for facts in after(phase, outcome, facts) {
            let event = Event::Ended(outcome);
            ways.push((event, step(phase, event, facts)));
        }
    }
    for facts in in_the_middle(phase, facts) {
        for booted in [false, true] {
            let event = Event::Restarted { booted };
            ways.push((event, step(phase, event, facts)));
        }
        for registered in [false, true] {
            let event = Event::GoesDown(GoingDown::Reboot);
            let (next, facts) = step(phase, event, Facts { registered, ..facts });
            ways.push((event, (next, Facts { registered: false, ..facts })));
        }
    }
    ways.push((Event::WantedBack, step(phase, Event::WantedBack, facts)));
    ways
}

fn beginnings() -> Vec<Place> {
    let mut beginnings = Vec::new();
    for bits in 0..32_u8 {
        let on = |bit: u8| bits & 1 << bit != 0;
        let command = on(0).then_some(CommandState::NotRun);
        if on(4) && (on(0) || on(1)) {
            // A `drain` has neither.
            continue;
        }
        let facts =
            Facts { command, reboot_wanted: on(1), rerun: on(2), late: on(3), stay_out: on(4), ..IN_SERVICE };
        beginnings.push((Phase::CheckGroup, Facts { holds: false, ..facts }));
        beginnings.push((Phase::CheckGroup, Facts { holds: false, forced: true, going_down: true, ..facts }));
    }
    beginnings
}

fn reachable() -> HashMap<Place, Vec<(Event, Place)>> {
    let mut seen: HashMap<Place, Vec<(Event, Place)>> = HashMap::new();
    let mut open: VecDeque<Place> = beginnings().into();
    while let Some(place) = open.pop_front() {
        if seen.contains_key(&place) {
            continue;
        }
        let ways = ways(place);
        open.extend(ways.iter().map(|(_, next)| *next));
        seen.insert(place, ways);
    }
    seen
}

#[test]
fn from_everywhere_there_is_a_way_to_an_end_without_a_person() {
    let all = reachable();
    let is_end = |place: &Place| matches!(place.0, Phase::Done | Phase::Halted | Phase::Drained);
    let mut good: HashSet<Place> = all.keys().copied().filter(is_end).collect();
    loop {
        let by_itself =
            |(event, next): &(Event, Place)| matches!(event, Event::Ended(_)) && good.contains(next);
        // Before a shutdown the driver stops after the drain, and the boot continues.
        let boots = |(event, next): &(Event, Place)| {
            matches!(event, Event::Restarted { booted: true }) && good.contains(next)
        };
        let more: Vec<_> = all
            .iter()
            .filter(|(place, _)| !good.contains(*place))
            .filter(|(place, ways)| {
                ways.iter().any(by_itself) || place.1.going_down && ways.iter().any(boots)
            })
            .map(|(place, _)| *place)
            .collect();
        if more.is_empty() {
            break;
        }
        good.extend(more);
    }
    let lost: Vec<_> = all.keys().filter(|place| !good.contains(*place)).collect();
    assert!(lost.is_empty(), "no way to an end from {:?}", lost.first());
    println!("{} places, {} ways", all.len(), all.values().map(Vec::len).sum::<usize>());
}

#[test]
fn a_node_that_may_be_out_never_releases_its_lease() {
    for (place, ways) in reachable() {
        let (phase, facts) = place;
        for (event, (next, _)) in ways {
            let gives_back = next == Phase::ReleaseLease && phase != Phase::ReleaseLease;
            let proved = phase == Phase::WaitInService;
            assert!(
                !gives_back || !facts.sent || proved,
                "{phase} releases the lease when {event}: {facts:?}"
            );
        }
    }
}

#[test]
fn the_walk_reaches_every_phase() {
    let mut met: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
    for (place, ways) in reachable() {
        let to = met.entry(place.0.name()).or_default();
        to.extend(ways.iter().map(|(_, next)| next.0.name()));
    }
    assert_eq!(met.len(), Phase::ALL.len(), "{met:?}");
}
