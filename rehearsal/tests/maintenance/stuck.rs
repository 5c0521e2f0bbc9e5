//! A driver that cannot go on, or whose calls are not answered: people are told once, and again every hour.

use crate::fleet::{Fleet, Node, finished, fleet, until, within};
use local_alb::{Fault, Faults};
use node_agent::agent::stuck::Stuck;
use node_agent::machine::ports::Stop;
use node_agent::record::mailbox::{Ask, Refused, Requests};
use node_agent::record::phase::Phase;
use node_agent::record::{CommandState, Verdict, journal};
use std::time::Duration;
use tokio::time::{Instant, sleep};

async fn telling() -> Fleet {
    fleet().settings(|s| s.notify_command = vec!["tell-people".into()]).start().await
}

fn told(node: &Node) -> usize {
    let told = node.machine.notified.lock().unwrap();
    told.iter().filter(|message| message.contains("\"event\":\"stuck\"")).count()
}

fn refused(reason: &str) -> Refused {
    Refused { exit_code: 3, reason: reason.to_owned() }
}

/// Tries again for this many minutes. False: the process has to end.
async fn stuck_for(minutes: u32, stuck: &mut Stuck, why: &Refused, node: &Node) -> bool {
    for _ in 0..minutes {
        if !stuck.wait(why, node.machine.as_ref(), &node.settings, &Stop::new()).await {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn people_are_told_at_once_every_hour_and_of_each_new_reason() {
    let fleet = telling().await;
    let node = &fleet.nodes[0];
    let mut stuck = Stuck::new(&node.settings);
    let began = Instant::now();
    assert!(stuck_for(1, &mut stuck, &refused("no disk"), node).await);
    assert_eq!((told(node), began.elapsed().as_secs()), (1, 60));
    assert!(stuck_for(59, &mut stuck, &refused("no disk"), node).await);
    assert_eq!(told(node), 1);
    assert!(stuck_for(1, &mut stuck, &refused("no disk"), node).await);
    assert_eq!(told(node), 2, "an hour later");
    assert!(stuck_for(2, &mut stuck, &refused("no metadata"), node).await);
    assert_eq!(told(node), 3, "another reason is news");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn those_who_ask_and_those_who_follow_are_answered_at_once_and_a_stop_ends_it() {
    let fleet = telling().await;
    let node = fleet.nodes[0].clone();
    let running = node.begun(node.run(&["patch"]), Phase::Drain).await;
    let followed = node.operation().unwrap().request.id;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    let requests = Requests::beside(&node.settings.state_dir);
    let asked = node.run(&["another"]);
    requests.leave(&Ask::Begin(Box::new(asked.clone()))).unwrap();
    let (stop, settings) = (Stop::new(), node.settings.clone());
    let (driver, stopped) = (node.clone(), stop.clone());
    let waiting = tokio::task::spawn_local(async move {
        let mut stuck = Stuck::new(&settings);
        stuck.wait(&refused("no disk"), driver.machine.as_ref(), &settings, &stopped).await
    });
    for id in [&asked.id, &followed] {
        let took = within(Duration::from_secs(30), || {
            let answer = requests.refused(id);
            assert!(answer.as_ref().is_none_or(|answer| *answer == refused("no disk")), "{answer:?}");
            answer.is_some()
        });
        assert!(took.await < Duration::from_secs(1));
    }
    assert!(journal::is_driven(&node.settings.state_dir), "nobody else may drive");
    stop.cancel();
    assert!(!waiting.await.unwrap(), "the process ends");
    assert!(!journal::is_driven(&node.settings.state_dir));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_process_that_has_started_the_command_ends_and_the_next_one_stays() {
    let fleet = telling().await;
    let node = fleet.nodes[0].clone();
    let mut first = Stuck::new(&node.settings);
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    until(|| node.operation().is_some_and(|operation| operation.command == CommandState::Running)).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert!(!stuck_for(1, &mut first, &refused("no disk"), &node).await);
    let mut next = Stuck::new(&node.settings);
    assert!(stuck_for(3, &mut next, &refused("no disk"), &node).await);
    assert_eq!(told(&node), 2, "once by each process");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_api_that_does_not_answer_while_the_lease_is_given_back_is_told_after_ten_minutes() {
    let fleet = telling().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::WaitInService).await;
    fleet.alb.script("RemoveTags", Fault::Refused, 1000);
    until(|| node.phase() == Some(Phase::ReleaseLease)).await;
    sleep(Duration::from_secs(590)).await;
    assert_eq!(told(node), 0);
    within(Duration::from_secs(130), || told(node) == 1).await;
    within(Duration::from_secs(3720), || told(node) == 2).await;
    fleet.alb.clear_script();
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_api_that_does_not_answer_for_five_minutes_is_no_news() {
    let fleet = telling().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::CheckHealth).await;
    fleet.alb.change_faults(|faults| faults.refuse = true);
    sleep(Duration::from_secs(300)).await;
    fleet.alb.set_faults(Faults::default());
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    assert_eq!(told(node), 0);
}
