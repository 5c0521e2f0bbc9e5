//! The disk is full at any one write, and stays so until somebody clears it: the driver stops right there, says so, and
//! `resume` finishes the work.

use crate::kind::Kind;
use crate::play::{Death, Ended, Play};
use crate::points::Points;

async fn full_from_any_write_on(kind: Kind) {
    let undisturbed = Play::new(kind, Points::new(), Death::Killed).await;
    undisturbed.to_the_end().await;
    let writes = undisturbed.points.writes();
    for write in 0..writes {
        let play = Play::new(kind, Points::new(), Death::Killed).await;
        play.points.fill_disk(write);
        let ended = play.to_the_end().await;
        let Ended::Stuck(why) = &ended else { panic!("{kind:?}, full from write {write} on: {ended:?}") };
        let clear =
            why.starts_with("failed to write the record ") && why.ends_with("then run `node-agent resume`");
        assert!(clear, "{kind:?}, write {write}: {why}");
        let done = play.points.calls().len();
        play.points.clear_disk();
        let healed = play.healed(ended).await;
        let broken = play.broken_rules(&healed);
        assert!(
            broken.is_empty(),
            "{kind:?}, full from write {write} on, after {done} calls: {broken:#?}; {healed:?}"
        );
    }
    println!("survival: disk {kind:?}: full from each of {writes} writes on: nothing lost");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_full_disk_stops_a_reboot_where_it_is() {
    full_from_any_write_on(Kind::Reboot).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_full_disk_stops_a_command_where_it_is() {
    full_from_any_write_on(Kind::Command).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_full_disk_stops_drain_and_rejoin_where_they_are() {
    full_from_any_write_on(Kind::DrainAndRejoin).await;
}
