//! Stopped at every point: after every durable write, before, during and after every API call, around the command and
//! the reboot.

use crate::kind::Kind;
use crate::play::{Death, Ended, Play};
use crate::points::Points;
use node_agent::record::Verdict;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Instant;

/// How many points an undisturbed run has.
async fn points_of(kind: Kind) -> usize {
    let play = Play::new(kind, Points::new(), Death::Killed).await;
    let ended = play.to_the_end().await;
    let Ended::Finished(finished) = &ended else { panic!("{kind:?}: {ended:?}") };
    assert_eq!(finished.verdict, Verdict::Succeeded, "{kind:?}: {finished:?}");
    assert_eq!(play.broken_rules(&ended), Vec::<String>::new());
    play.points.passed().len()
}

/// One run, stopped at these points.
async fn stopped_at(kind: Kind, stops: &[usize], death: Death) {
    let play = Play::new(kind, Points::stopping_at(stops), death).await;
    let ended = play.to_the_end().await;
    play.settle().await;
    let broken = play.broken_rules(&ended);
    let passed = play.points.passed();
    let at: Vec<_> = stops.iter().map(|stop| passed.get(*stop)).collect();
    assert!(broken.is_empty(), "{kind:?}, {death:?} at {stops:?} = {at:?}: {broken:#?}; {ended:?}");
    assert!(
        !matches!(ended, Ended::Halted(_) | Ended::Stuck(_)),
        "{kind:?}, {death:?} at {stops:?} = {at:?}: {ended:?}"
    );
}

/// Every `stride`th point, each with both deaths.
async fn points_survived(kind: Kind, stride: usize) {
    let (began, points) = (Instant::now(), points_of(kind).await);
    let mut runs = 0;
    for (number, death) in [Death::Killed, Death::PowerCut].into_iter().enumerate() {
        for stop in (number..points).step_by(stride) {
            stopped_at(kind, &[stop], death).await;
            runs += 1;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("survival: crash {kind:?}: {points} points, {runs} runs in {seconds:.1} s: nothing lost");
}

/// Stopped, and stopped again while it comes back.
async fn second_stops_survived(kind: Kind, runs: usize) {
    let mut random = StdRng::seed_from_u64(kind as u64);
    let points = points_of(kind).await;
    for _ in 0..runs {
        let first = random.random_range(0..points);
        let again = first + random.random_range(1..=30);
        let death = [Death::Killed, Death::PowerCut][random.random_range(0..2)];
        stopped_at(kind, &[first, again], death).await;
    }
    println!("survival: crash {kind:?}: {runs} runs with a second crash on the way back: nothing lost");
}

/// The ordinary suite takes every sixth point; the whole matrix is `scripts/check-survival`.
macro_rules! stopped {
    ($($kind:ident: $sample:ident, $all:ident);* $(;)?) => {
        $(
            #[tokio::test(flavor = "local", start_paused = true)]
            async fn $sample() {
                points_survived(Kind::$kind, 6).await;
                second_stops_survived(Kind::$kind, 6).await;
            }

            #[tokio::test(flavor = "local", start_paused = true)]
            #[ignore = "the whole matrix: scripts/check-survival"]
            async fn $all() {
                points_survived(Kind::$kind, 1).await;
                second_stops_survived(Kind::$kind, 60).await;
            }
        )*
    };
}

stopped! {
    Reboot: stopped_in_a_reboot, stopped_anywhere_in_a_reboot;
    Command: stopped_in_a_command, stopped_anywhere_in_a_command;
    CommandAndReboot: stopped_in_a_command_and_a_reboot, stopped_anywhere_in_a_command_and_a_reboot;
    CommandAsksForReboot: stopped_in_a_command_that_asks_for_a_reboot, stopped_anywhere_in_a_command_that_asks_for_a_reboot;
    UnderSsm: stopped_in_a_reboot_by_the_ssm_agent, stopped_anywhere_in_a_reboot_by_the_ssm_agent;
    DrainAndRejoin: stopped_in_drain_and_rejoin, stopped_anywhere_in_drain_and_rejoin;
    TwoGroups: stopped_in_two_groups, stopped_anywhere_in_two_groups;
    PortOverrides: stopped_with_port_overrides, stopped_anywhere_with_port_overrides;
    ByAddress: stopped_with_targets_by_address, stopped_anywhere_with_targets_by_address;
}
