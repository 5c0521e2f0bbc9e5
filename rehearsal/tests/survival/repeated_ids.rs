//! Scripts of the SSM agent with an id that was used before, at every point: an association sends the same one every week,
//! and the agent runs a script again after the reboot that it has asked for.

use crate::kind::Kind;
use crate::play::{Between, Death, Ended, Play};
use crate::points::Points;
use node_agent::machine::ports::Machine;
use node_agent::record::phase::Stage;
use node_agent::record::{Answered, Finished, Record, Request, ScriptId, Verdict};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const WEEKS: usize = 2;

/// When the agent runs a script again after its reboot: while the maintenance is under way, or when it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    AtOnce,
    Late,
}

/// What is known of the script of this week.
#[derive(Debug, Default, Clone)]
struct Script {
    /// What it means.
    id: String,
    /// The agent owes it another run, since the boot after this one.
    owed_after: Option<String>,
}

/// An association, and the agent that runs its script.
struct Association {
    of_one_run: bool,
    again: Again,
    script: Arc<Mutex<Script>>,
}

impl Association {
    fn script_id(&self, week: usize) -> ScriptId {
        let run = if self.of_one_run { format!(".{week:016x}") } else { String::new() };
        ScriptId { id: format!("8dfe3659.00000001{run}"), of_one_run: self.of_one_run }
    }
}

fn record(play: &Play) -> Record {
    node_agent::record::journal::read(&play.fleet.nodes[0].settings.state_dir)
        .unwrap()
        .unwrap_or_else(|| Record::new("", ""))
}

/// What a script means that is run now, as the client finds out.
fn meant(play: &Play, script: &ScriptId) -> String {
    let node = &play.fleet.nodes[0];
    let answered = Answered::beside(&node.settings.state_dir);
    let boot_id = node.machine.boot_id().unwrap();
    record(play).meant_by(script, &play.kind.request(node), &boot_id, &answered)
}

/// Nothing on record has this id.
fn is_new(play: &Play, id: &str) -> bool {
    let record = record(play);
    record.answer(id).is_none() && !record.operation.is_some_and(|operation| operation.answers(id))
}

/// What the agent does between two drivers: it reads the 194, and it runs the script again.
fn between(play: &Play, what: Between, script_id: &ScriptId, again: Again, script: &Mutex<Script>) {
    let node = &play.fleet.nodes[0];
    let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
    let boot_id = node.machine.boot_id().unwrap();
    let Some(operation) = node.operation() else { return };
    if what == Between::RebootAsked {
        let answered = Answered::beside(&node.settings.state_dir);
        answered.claim(&operation.request.id, &boot_id, &script.id).unwrap();
        script.owed_after = Some(boot_id);
        return;
    }
    let after_its_reboot = script.owed_after.as_ref().is_some_and(|before| *before != boot_id);
    if after_its_reboot && again == Again::Late {
        return;
    }
    script.owed_after = script.owed_after.take().filter(|before| *before == boot_id);
    let now = meant(play, script_id);
    let comes_back = operation.request.stay_out && operation.phase.stage() == Stage::Returning;
    let right = if comes_back { is_new(play, &now) } else { now == script.id };
    if !right {
        play.points.wrong(format!("at {} the script means {now}, not {}", operation.phase, script.id));
    }
}

/// Plays a week to its end, and the runs of the script that follow. Returns how the maintenance of this week ended, unless it
/// was not begun.
async fn week(play: &mut Play, number: usize, association: &Association) -> Option<Finished> {
    let (script_id, script) = (association.script_id(number), association.script.clone());
    let id = meant(play, &script_id);
    assert!(is_new(play, &id), "week {number} means {id}: {:?}", record(play).finished);
    *script.lock().unwrap() = Script { id: id.clone(), owed_after: None };
    let (again, known) = (association.again, script_id.clone());
    let listening = script.clone();
    play.bystander = Some(Box::new(move |play, what| between(play, what, &known, again, &listening)));
    let request = Request { id: id.clone(), ..play.kind.request(&play.fleet.nodes[0]) };
    let ended = play.begun(request).await;
    play.settle().await;
    assert_eq!(play.points.wrongs(), Vec::<String>::new());
    assert!(play.is_in_service() && !matches!(ended, Ended::Halted(_) | Ended::Stuck(_)), "{ended:?}");
    let finished = record(play).answer(&id).cloned();
    let boot_id = play.fleet.nodes[0].machine.boot_id().unwrap();
    let asked = finished.as_ref().and_then(|finished| finished.reboot.clone());
    let owed = script.lock().unwrap().owed_after.take();
    if owed.is_some() && asked.is_some_and(|asked| asked.comes_right_before(&boot_id)) {
        assert_eq!(meant(play, &script_id), id, "the second run is owed the verdict");
    }
    // Next week there is a new run, except that the id of one run stands for it for ever. A drain is always new.
    let next = meant(play, &script_id);
    let stands =
        association.of_one_run && finished.is_some() && !play.kind.request(&play.fleet.nodes[0]).stay_out;
    assert_eq!(next == id, stands || finished.is_none(), "{next} after {id}");
    finished
}

/// Both weeks, stopped at this point of them.
async fn weeks(kind: Kind, stop: Option<usize>, death: Death, of_one_run: bool, again: Again) -> Play {
    let stops: Vec<_> = stop.into_iter().collect();
    let mut play = Play::new(kind, Points::stopping_at(&stops), death).await;
    let association = Association { of_one_run, again, script: Arc::default() };
    let mut begun = 0;
    for number in 1..=WEEKS {
        let finished = week(&mut play, number, &association).await;
        let undisturbed = stop.is_none_or(|stop| stop >= play.points.passed().len());
        let ended_well = finished.as_ref().is_some_and(|finished| finished.verdict == Verdict::Succeeded);
        assert!(ended_well || !undisturbed || stop.is_some(), "week {number}: {finished:?}");
        begun += usize::from(finished.is_some());
        assert_eq!(record(&play).finished.len(), begun, "each week is one maintenance");
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    assert!(begun + usize::from(stop.is_some()) >= WEEKS, "{begun} weeks were begun");
    assert!(play.commands_run() <= begun, "{} commands in {begun} weeks", play.commands_run());
    play
}

async fn survived(kind: Kind, stride: usize) {
    let began = Instant::now();
    let (mut runs, mut most) = (0, 0);
    for of_one_run in [false, true] {
        for (number, again) in [Again::AtOnce, Again::Late].into_iter().enumerate() {
            let points = weeks(kind, None, Death::Killed, of_one_run, again).await.points.passed().len();
            most = most.max(points);
            for death in [Death::Killed, Death::PowerCut] {
                for stop in (number..points).step_by(stride) {
                    weeks(kind, Some(stop), death, of_one_run, again).await;
                    runs += 1;
                }
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("survival: crash {kind:?}EveryWeek: {most} points, {runs} runs in {seconds:.1} s: nothing lost");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_repeated_id_means_what_its_sender_expects() {
    survived(Kind::UnderSsm, 16).await;
    survived(Kind::DrainAndRejoin, 16).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
#[ignore = "the whole matrix: scripts/check-survival"]
async fn a_repeated_id_means_what_its_sender_expects_at_every_point() {
    survived(Kind::UnderSsm, 1).await;
    survived(Kind::DrainAndRejoin, 1).await;
}
