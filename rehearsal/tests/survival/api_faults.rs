//! Every trouble at every call: the run ends in service, or halted with its lease and its reason, or nothing was changed.
//! Halted, it comes back when a person has run `resume`.

use crate::kind::Kind;
use crate::play::{Death, Ended, Play};
use crate::points::Points;
use crate::trouble::Trouble;
use std::time::Instant;

/// How many calls an undisturbed run makes.
async fn calls_of(kind: Kind) -> usize {
    let play = Play::new(kind, Points::new(), Death::Killed).await;
    play.to_the_end().await;
    play.points.calls().len()
}

/// One run with one trouble. True when it had to halt.
async fn troubled_at(kind: Kind, call: usize, trouble: Trouble) -> bool {
    let play = Play::new(kind, Points::new(), Death::Killed).await;
    trouble.at(call, &play);
    let ended = play.to_the_end().await;
    play.settle().await;
    let action = play.points.calls().get(call).cloned().unwrap_or_default();
    let broken = play.broken_rules(&ended);
    assert!(broken.is_empty(), "{kind:?}, {trouble:?} at call {call}, {action}: {broken:#?}; {ended:?}");
    let halted = matches!(ended, Ended::Halted(_));
    let healed = play.healed(ended).await;
    let broken = play.broken_rules(&healed);
    let back = matches!(healed, Ended::Finished(_)) && broken.is_empty();
    assert!(back, "{kind:?}, {trouble:?} at call {call}, {action}, then resumed: {broken:#?}; {healed:?}");
    halted
}

async fn troubles_survived(kind: Kind, stride: usize) {
    let (began, calls) = (Instant::now(), calls_of(kind).await);
    let (mut runs, mut halted) = (0, 0);
    let troubles = Trouble::all();
    for (number, trouble) in troubles.iter().copied().enumerate() {
        for call in (number % stride..calls).step_by(stride) {
            halted += usize::from(troubled_at(kind, call, trouble).await);
            runs += 1;
        }
    }
    let (troubles, seconds) = (troubles.len(), began.elapsed().as_secs_f64());
    println!(
        "survival: faults {kind:?}: {calls} calls, {troubles} faults, {runs} runs in {seconds:.1} s, {halted} halted and brought back: nothing lost"
    );
}

/// The ordinary suite takes every eighth call; the whole matrix is `scripts/check-survival`.
macro_rules! troubled {
    ($($kind:ident: $sample:ident, $all:ident);* $(;)?) => {
        $(
            #[tokio::test(flavor = "local", start_paused = true)]
            async fn $sample() {
                troubles_survived(Kind::$kind, 8).await;
            }

            #[tokio::test(flavor = "local", start_paused = true)]
            #[ignore = "the whole matrix: scripts/check-survival"]
            async fn $all() {
                troubles_survived(Kind::$kind, 1).await;
            }
        )*
    };
}

troubled! {
    Command: troubled_in_a_command, troubled_at_any_call_of_a_command;
    CommandAndReboot: troubled_in_a_reboot, troubled_at_any_call_of_a_command_and_a_reboot;
    DrainAndRejoin: troubled_in_drain_and_rejoin, troubled_at_any_call_of_drain_and_rejoin;
    TwoGroups: troubled_in_two_groups, troubled_at_any_call_of_two_groups;
    PortOverrides: troubled_with_port_overrides, troubled_at_any_call_with_port_overrides;
    ByAddress: troubled_with_targets_by_address, troubled_at_any_call_with_targets_by_address;
}
