//! A permission that is missing, or is taken away: people are told, and somebody who asks for it can stop the process.

use crate::fleet::{Builder, Fleet, Node, finished, fleet, logged, seconds, until, within};
use node_agent::maintenance::context::{DriveError, End};
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;
use std::time::Duration;
use tokio::time::{Instant, sleep};

fn telling() -> Builder {
    fleet().settings(|s| s.notify_command = vec!["tell-people".into()])
}

fn deny(fleet: &Fleet, action: &str) {
    fleet.alb.change_faults(|faults| faults.denied = [action.to_owned()].into());
}

fn allow(fleet: &Fleet) {
    fleet.alb.change_faults(|faults| faults.denied.clear());
}

/// What people were told of a missing permission.
fn told(node: &Node) -> Vec<String> {
    let told = node.machine.notified.lock().unwrap().clone();
    told.into_iter().filter(|message| message.contains("\"event\":\"denied\"")).collect()
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn without_register_targets_people_are_told_and_the_node_comes_back_once_it_is_allowed() {
    let log = logged();
    let fleet = telling().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    deny(&fleet, "RegisterTargets");
    until(|| node.phase() == Some(Phase::Register)).await;
    let took = within(Duration::from_secs(150), || !told(node).is_empty()).await;
    assert!(took >= Duration::from_secs(60), "{took:?}");
    assert!(
        told(node)[0].contains("register: failed to call RegisterTargets: AccessDenied"),
        "{:?}",
        told(node)
    );
    let End::Halted(reason) = running.await.unwrap() else { panic!("not halted") };
    assert!(reason.contains("AccessDenied") && reason.contains("allow this call"), "{reason}");
    assert!(fleet.lease(0).unwrap().contains("p=halted"));
    allow(&fleet);
    assert_eq!(finished(node.resume().await).verdict, Verdict::Succeeded);
    fleet.assert_restored();
    log.says("allow this call in the instance's role");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_permission_that_is_missing_for_less_than_a_minute_is_no_news() {
    let fleet = telling().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::RunCommand).await;
    deny(&fleet, "RegisterTargets");
    until(|| node.phase() == Some(Phase::Register)).await;
    sleep(Duration::from_secs(30)).await;
    allow(&fleet);
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    assert_eq!(told(node).len(), 0);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn without_remove_tags_people_are_told_every_hour_until_it_is_allowed() {
    let log = logged();
    let fleet = telling().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::WaitInService).await;
    deny(&fleet, "RemoveTags");
    until(|| node.phase() == Some(Phase::ReleaseLease)).await;
    within(Duration::from_secs(150), || told(node).len() == 1).await;
    assert!(
        told(node)[0].contains("release_lease: failed to call RemoveTags: AccessDenied"),
        "{:?}",
        told(node)
    );
    within(Duration::from_secs(3 * 3700), || told(node).len() == 4).await;
    assert_eq!(fleet.alb.instances_out(&fleet.arn), 0);
    allow(&fleet);
    assert_eq!(finished(running.await.unwrap()).verdict, Verdict::Succeeded);
    fleet.assert_restored();
    log.says("failed to release the lease");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn without_remove_tags_a_stop_ends_the_process_and_the_next_one_goes_on() {
    // In service again, and before it has left.
    for before_leaving in [false, true] {
        let fleet = telling().settings(|s| s.lease_wait = seconds(600)).start().await;
        let node = fleet.nodes[0].clone();
        let mut driver = node.driver(node.run(&["patch"]));
        let running = tokio::task::spawn_local(async move { driver.drive().await });
        let denied: &[&str] =
            if before_leaving { &["RemoveTags", "DeregisterTargets"] } else { &["RemoveTags"] };
        let denied = denied.iter().map(|action| (*action).to_owned()).collect();
        fleet.alb.change_faults(|faults| faults.denied = denied);
        until(|| node.phase() == Some(Phase::ReleaseLease)).await;
        sleep(Duration::from_secs(90)).await;
        node.ask_to_stop();
        let asked = Instant::now();
        let Err(DriveError::Denied(error)) = running.await.unwrap() else { panic!("not stopped") };
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        assert!(error.to_string().contains("RemoveTags"), "{error}");
        let said = DriveError::Denied(error).to_string();
        assert!(
            said.starts_with("stopped in the middle of a maintenance: failed to call RemoveTags"),
            "{said}"
        );
        assert_eq!(fleet.alb.instances_out(&fleet.arn), 0);
        assert!(fleet.lease(0).unwrap().contains("p=held"));

        allow(&fleet);
        let ended = finished(node.restarted().drive().await.unwrap());
        let verdict = if before_leaving { Verdict::NothingChanged } else { Verdict::Succeeded };
        assert_eq!(ended.verdict, verdict, "{ended:?}");
        fleet.assert_restored();
    }
}
