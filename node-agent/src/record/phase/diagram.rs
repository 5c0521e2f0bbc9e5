//! The diagram in ARCHITECTURE.md, drawn from the table.

use super::tests::IN_SERVICE;
use super::*;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The diagram: every edge of a maintenance whose driver runs without interruption, with the outcomes that lead along it.
/// Restarts, boots and shutdowns are in a table of their own on the page.
fn drawn() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> check_group\n");
    for from in Phase::ALL {
        let mut edges: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (outcome, word) in [
            (Outcome::Ok, "ok"),
            (Outcome::Failed, "failed"),
            (Outcome::Blocked, "blocked"),
            (Outcome::Cancelled, "cancelled"),
        ] {
            for facts in all_facts() {
                let Ok(next) = next(from, Event::Ended(outcome), &facts) else { continue };
                if next.phase != from && is_possible(from, outcome) {
                    let place = Phase::ALL.iter().position(|phase| *phase == next.phase).unwrap();
                    let words = edges.entry(place).or_default();
                    if !words.iter().any(|known| known == word) {
                        words.push(word.to_owned());
                    }
                }
            }
        }
        if matches!(from, Phase::Drained | Phase::Halted) {
            let back = next(from, Event::WantedBack, &IN_SERVICE).unwrap().phase;
            let place = Phase::ALL.iter().position(|phase| *phase == back).unwrap();
            edges.entry(place).or_default().push("wanted back".to_owned());
        }
        for (to, words) in edges {
            let _ = writeln!(text, "    {from} --> {}: {}", Phase::ALL[to], words.join(", "));
        }
    }
    text + "    done --> [*]\n"
}

fn is_possible(phase: Phase, outcome: Outcome) -> bool {
    !matches!((phase, outcome), (Phase::Drained, Outcome::Failed | Outcome::Cancelled))
}

/// The facts that an undisturbed driver can have.
fn all_facts() -> Vec<Facts> {
    let states =
        [None, Some(CommandState::NotRun), Some(CommandState::Succeeded), Some(CommandState::Failed)];
    let mut all = Vec::new();
    for command in states {
        for bits in 0..32_u8 {
            let on = |bit: u8| bits & 1 << bit != 0;
            all.push(Facts {
                command,
                reboot_wanted: on(0),
                stay_out: on(1),
                sent: on(2),
                left: true,
                reboot_accepted: on(3),
                boots: u32::from(on(4)),
                ..IN_SERVICE
            });
        }
    }
    all
}

#[test]
fn the_diagram_in_the_page_is_the_table() {
    let page = include_str!("../../../../ARCHITECTURE.md");
    let shown = page.split("```mermaid\n").nth(1).and_then(|rest| rest.split("```").next());
    let drawn = drawn();
    assert!(
        shown == Some(drawn.as_str()),
        "the diagram in ARCHITECTURE.md is not the table in phase.rs; put this in its place:\n\n{drawn}"
    );
}
