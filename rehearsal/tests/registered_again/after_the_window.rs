//! A maintenance that goes on from its record after its window, or when no client waits any more: nothing takes the node
//! out of service.

use crate::fleet::{Fleet, Node, PORT, finished, fleet, logged, until};
use crate::{is_registered, register};
use local_alb::Fault;
use node_agent::record::mailbox::Requests;
use node_agent::record::phase::Phase;
use node_agent::record::{Finished, RebootWhen, Request, TurnedBack, Verdict};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;

/// A maintenance with a window of ten minutes, killed in this phase.
async fn killed_in(fleet: &Fleet, phase: Phase) {
    let node = &fleet.nodes[0];
    let request = Request {
        not_after: Some(jiff::Timestamp::from_second(600).unwrap()),
        ..node.request(RebootWhen::Always, &["patch"])
    };
    let running = node.begun(request, phase).await;
    running.abort();
    let _ = running.await;
}

/// The driver goes on from the record, to the end. Nothing has taken the node out meanwhile.
async fn goes_on(fleet: &Fleet, node: &Node) -> Finished {
    let calls = fleet.calls("DeregisterTargets").len();
    let done = finished(node.restarted().drive().await.unwrap());
    assert_eq!(fleet.calls("DeregisterTargets").len(), calls, "{done:?}");
    done
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn after_a_power_cut_in_the_drain_a_node_that_was_registered_again_only_comes_back() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    killed_in(&fleet, Phase::Drain).await;
    register(&fleet, 0, PORT);
    sleep(Duration::from_secs(3600)).await;
    node.boot().await;
    // Its clock goes on: the window is over.
    let done = goes_on(&fleet, node).await;
    assert_eq!((done.verdict, done.exit_code), (Verdict::FailedButRestored, 1));
    assert!(done.reason.unwrap().contains("the machine went down before the command was started"));
    assert!(node.machine.ran.lock().unwrap().is_empty());
    assert_eq!(node.machine.reboots.load(Ordering::Relaxed), 0);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn after_a_boot_a_deregistration_that_was_pending_is_not_sent() {
    let fleet = fleet().two_groups().start().await;
    let node = &fleet.nodes[0];
    // The answer for the first group is lost, so the second one is pending.
    fleet.alb.script("DeregisterTargets", Fault::LostAnswer, 20);
    killed_in(&fleet, Phase::Deregister).await;
    fleet.alb.clear_script();
    node.boot().await;
    let done = goes_on(&fleet, node).await;
    assert_eq!(done.verdict, Verdict::FailedButRestored);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn in_the_same_boot_a_pending_deregistration_is_not_sent_after_the_window() {
    let log = logged();
    let fleet = fleet().two_groups().start().await;
    let node = &fleet.nodes[0];
    let request = Request {
        not_after: Some(jiff::Timestamp::from_second(600).unwrap()),
        ..node.request(RebootWhen::Always, &["patch"])
    };
    let running = node.begun(request, Phase::Deregister).await;
    until(|| node.operation().is_some_and(|operation| operation.has_sent())).await;
    running.abort();
    let _ = running.await;
    let sent = fleet.calls("DeregisterTargets").len();
    sleep(Duration::from_secs(600)).await;
    let done = goes_on(&fleet, node).await;
    assert_eq!((done.verdict, done.turned_back), (Verdict::FailedButRestored, Some(TurnedBack::WindowOver)));
    assert_eq!((done.exit_code, fleet.calls("DeregisterTargets").len()), (1, sent));
    assert!(node.machine.ran.lock().unwrap().is_empty());
    fleet.assert_restored();
    log.says("the time given by --not-after has passed");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn in_the_same_boot_a_node_registered_again_leaves_only_while_a_client_waits() {
    let log = logged();
    for waits in [true, false] {
        let fleet = fleet().start().await;
        let node = &fleet.nodes[0];
        let running = node.begun(node.run(&["patch"]), Phase::Drain).await;
        running.abort();
        let _ = running.await;
        register(&fleet, 0, PORT);
        sleep(Duration::from_secs(30)).await;
        let requests = Requests::beside(&node.settings.state_dir);
        let client = waits.then(|| requests.wait().unwrap());
        let mut driver = node.restarted();
        (driver.stays, driver.requests) = (true, Some(requests));
        let done = finished(driver.drive().await.unwrap());
        assert_eq!(node.machine.ran.lock().unwrap().len(), usize::from(waits));
        assert_eq!(fleet.calls("DeregisterTargets").len(), 1 + usize::from(waits));
        let expected = if waits { None } else { Some(TurnedBack::AskerGone) };
        assert_eq!((done.turned_back, done.exit_code), (expected, u8::from(!waits)), "{done:?}");
        assert!(is_registered(&fleet, 0, PORT));
        drop(client);
    }
    log.says("no client waits for it any more");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_command_that_was_cut_off_runs_again_only_with_rerun_and_inside_the_window() {
    for (rerun, late, runs) in [(true, false, 2), (true, true, 1), (false, false, 1)] {
        let fleet = fleet().settings(|s| s.rerun = rerun).start().await;
        let node = &fleet.nodes[0];
        killed_in(&fleet, Phase::RunCommand).await;
        until(|| node.machine.ran.lock().unwrap().len() == 1).await;
        if late {
            sleep(Duration::from_secs(600)).await;
        }
        let mut driver = node.restarted();
        node.machine.obeys.store(false, Ordering::Relaxed);
        tokio::task::spawn_local(async move { driver.drive().await });
        until(|| matches!(node.phase(), None | Some(Phase::Reboot | Phase::Halted))).await;
        assert_eq!(node.machine.ran.lock().unwrap().len(), runs, "rerun {rerun}, late {late}");
    }
}
