//! Troubles and crashes together, as the seed has it. `SEED=n` plays one of them again.

use crate::kind::Kind;
use crate::play::{Death, Ended, Play};
use crate::points::Points;
use crate::trouble::Trouble;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Instant;

/// No run makes more calls than this before it is over, nor passes more points; what is drawn later does not happen.
const CALLS: usize = 60;
const POINTS: usize = 150;

/// What happens in one run.
#[derive(Debug)]
struct Story {
    kind: Kind,
    death: Death,
    stops: Vec<usize>,
    troubles: Vec<(usize, Trouble)>,
}

impl Story {
    fn of(seed: u64) -> Story {
        let mut random = StdRng::seed_from_u64(seed);
        let mut stops: Vec<_> =
            (0..random.random_range(0..=2)).map(|_| random.random_range(0..POINTS)).collect();
        stops.sort_unstable();
        stops.dedup();
        let all = Trouble::all();
        let mut trouble = |_| (random.random_range(0..CALLS), all[random.random_range(0..all.len())]);
        let troubles = (0..3).map(&mut trouble).collect();
        Story {
            kind: Kind::ALL[random.random_range(0..Kind::ALL.len())],
            death: [Death::Killed, Death::PowerCut][random.random_range(0..2)],
            stops,
            troubles,
        }
    }

    /// Plays it. True when the node had to halt.
    async fn play(&self, seed: u64) -> bool {
        let play = Play::new(self.kind, Points::stopping_at(&self.stops), self.death).await;
        for (call, trouble) in &self.troubles {
            trouble.at(*call, &play);
        }
        let ended = play.to_the_end().await;
        play.settle().await;
        let broken = play.broken_rules(&ended);
        assert!(broken.is_empty(), "SEED={seed}: {broken:#?}; {self:?}; {ended:?}");
        let halted = matches!(ended, Ended::Halted(_));
        let healed = play.healed(ended).await;
        play.settle().await;
        let broken = play.broken_rules(&healed);
        let back = matches!(healed, Ended::Finished(_) | Ended::NotBegun) && broken.is_empty();
        assert!(back, "SEED={seed}, then resumed: {broken:#?}; {self:?}; {healed:?}");
        halted
    }
}

async fn all(seeds: std::ops::Range<u64>) {
    let (began, runs) = (Instant::now(), seeds.end - seeds.start);
    let mut halted = 0;
    for seed in seeds {
        halted += usize::from(Story::of(seed).play(seed).await);
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "survival: chance: {runs} seeds in {seconds:.1} s, {halted} halted and brought back: nothing lost"
    );
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn troubles_and_crashes_by_chance() {
    match number("SEED") {
        Some(seed) => all(seed..seed + 1).await,
        None => all(0..200).await,
    }
}

/// As two tests, for two cores.
#[tokio::test(flavor = "local", start_paused = true)]
#[ignore = "thousands of runs: scripts/check-survival"]
async fn troubles_and_crashes_by_chance_thousands_of_times() {
    all(1000..1000 + number("SEEDS").unwrap_or(3000) / 2).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
#[ignore = "thousands of runs: scripts/check-survival"]
async fn troubles_and_crashes_by_chance_thousands_of_times_more() {
    all(1_000_000..1_000_000 + number("SEEDS").unwrap_or(3000) / 2).await;
}
