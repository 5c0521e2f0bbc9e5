//! Stopped with each phase on record. Before the driver goes on, somebody else registers the node or changes its tag, or the
//! machine is shut down.

use crate::kind::Kind;
use crate::play::{Death, Ended, Play};
use crate::points::Points;
use crate::trouble::Trouble;
use node_agent::machine::systemd::GoingDown;
use node_agent::record::phase::Phase;
use std::time::Instant;

/// The phases that an undisturbed run has on record.
async fn phases_of(kind: Kind) -> Vec<Phase> {
    let play = Play::new(kind, Points::new(), Death::Killed).await;
    play.to_the_end().await;
    play.points.phases()
}

/// Stopped in a phase, with a trouble before the driver goes on. True when it had to halt.
async fn troubled_in(kind: Kind, phase: Phase, trouble: Trouble, death: Death) -> bool {
    let mut play = Play::new(kind, Points::stopping_in(phase), death).await;
    play.while_stopped = Some(trouble);
    let ended = play.to_the_end().await;
    play.settle().await;
    let broken = play.broken_rules(&ended);
    let what = format!("{kind:?}, {trouble:?} in {phase}, {death:?}");
    assert!(broken.is_empty(), "{what}: {broken:#?}; {ended:?}");
    let halted = matches!(ended, Ended::Halted(_));
    let healed = play.healed(ended).await;
    play.settle().await;
    let broken = play.broken_rules(&healed);
    let back = matches!(healed, Ended::Finished(_) | Ended::NotBegun) && broken.is_empty();
    assert!(back, "{what}, then resumed: {broken:#?}; {healed:?}");
    halted
}

/// Stopped in a phase, because the machine goes down. The guard leaves no registration behind, and the boot brings it back.
async fn shut_down_in(kind: Kind, phase: Phase, how: GoingDown) {
    let play = Play::new(kind, Points::stopping_in(phase), Death::Killed).await;
    let what = format!("{kind:?}, {how:?} in {phase}");
    play.until_stopped().await;
    let node = &play.fleet.nodes[0];
    node.leave_before(how).await;
    assert!(!play.is_registered(), "{what}: requests reach a machine that is down");
    node.boot().await;
    let ended = play.resumed().await;
    play.settle().await;
    // The guard's own departure is the last one on record, so its verdict says nothing of the request.
    assert!(matches!(ended, Ended::Finished(_)) && play.is_in_service(), "{what}: {ended:?}");
    assert!(play.commands_run() <= 1 && play.reboots() <= 1, "{what}: {ended:?}");
    let leases = play.leases();
    assert!(leases.iter().all(|lease| lease.contains("p=failed")), "{what}: {leases:?}");
}

/// What happens while the driver is stopped.
#[derive(Clone, Copy)]
enum Meanwhile {
    Trouble(Trouble, Death),
    Shutdown(GoingDown),
}

/// Every `stride`th combination.
async fn phases_survived(kind: Kind, stride: usize) {
    let (began, phases) = (Instant::now(), phases_of(kind).await);
    let troubles = Trouble::BY_OTHERS.into_iter();
    let troubles =
        troubles.flat_map(|trouble| [Death::Killed, Death::PowerCut].map(|death| (trouble, death)));
    let meanwhile = troubles.map(|(trouble, death)| Meanwhile::Trouble(trouble, death));
    let meanwhile = meanwhile.chain([GoingDown::Reboot, GoingDown::PowerOff].map(Meanwhile::Shutdown));
    let all = phases.iter().flat_map(|phase| meanwhile.clone().map(move |what| (*phase, what)));
    let (mut runs, mut halted) = (0, 0);
    for (phase, what) in all.skip(kind as usize % stride).step_by(stride) {
        match what {
            Meanwhile::Trouble(trouble, death) => {
                halted += usize::from(troubled_in(kind, phase, trouble, death).await);
            }
            Meanwhile::Shutdown(how) => shut_down_in(kind, phase, how).await,
        }
        runs += 1;
    }
    let (phases, seconds) = (phases.len(), began.elapsed().as_secs_f64());
    println!(
        "survival: phases {kind:?}: {phases} phases, {runs} runs in {seconds:.1} s, {halted} halted and brought back: nothing lost"
    );
}

/// The ordinary suite takes every thirteenth combination; the whole matrix is `scripts/check-survival`.
macro_rules! in_every_phase {
    ($($kind:ident: $sample:ident, $all:ident);* $(;)?) => {
        $(
            #[tokio::test(flavor = "local", start_paused = true)]
            async fn $sample() {
                phases_survived(Kind::$kind, 13).await;
            }

            #[tokio::test(flavor = "local", start_paused = true)]
            #[ignore = "the whole matrix: scripts/check-survival"]
            async fn $all() {
                phases_survived(Kind::$kind, 1).await;
            }
        )*
    };
}

in_every_phase! {
    CommandAndReboot: disturbed_in_a_command_and_a_reboot, disturbed_in_every_phase_of_a_command_and_a_reboot;
    UnderSsm: disturbed_under_the_ssm_agent, disturbed_in_every_phase_under_the_ssm_agent;
    DrainAndRejoin: disturbed_in_drain_and_rejoin, disturbed_in_every_phase_of_drain_and_rejoin;
    TwoGroups: disturbed_in_two_groups, disturbed_in_every_phase_of_two_groups;
    ByAddress: disturbed_with_targets_by_address, disturbed_in_every_phase_with_targets_by_address;
}
