//! Machines that go down by somebody else's will, on a paused clock: drained first, and back after the boot.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod fleet;

use fleet::{Fleet, PORT, finished, fleet, logged, seconds, until};
use local_alb::Fault;
use node_agent::machine::systemd::GoingDown;
use node_agent::maintenance::context::End;
use node_agent::record::phase::Phase;
use node_agent::record::{Operation, Request, Verdict};
use node_agent::settings::AutoScaling;
use std::time::Duration;
use tokio::time::Instant;

/// The deregistration delay is over, so no request can reach it.
fn assert_drained(fleet: &Fleet, node: usize) {
    assert_eq!(fleet.pairs(node), [(PORT, "unused".to_owned())]);
}

/// A maintenance of the first node that has come this far when SIGTERM, as the machine stops, ends its driver: the record is
/// left as it is.
async fn stopped_at(fleet: &Fleet, request: Request, phase: Phase) {
    let running = fleet.nodes[0].begun(request, phase).await;
    running.abort();
    let _ = running.await;
}

/// The node boots, `resume` brings it back, and nothing is left of the shutdown.
async fn boots_and_is_back(fleet: &Fleet, node: usize) {
    fleet.nodes[node].boot().await;
    let finished = finished(fleet.nodes[node].resume().await);
    assert_eq!(finished.verdict, Verdict::Succeeded, "{finished:?}");
    assert_eq!(fleet.pairs(node), [(PORT, "healthy".to_owned())]);
    assert_eq!(fleet.nodes[node].operation(), None);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_plain_reboot_takes_the_lease_drains_and_comes_back() {
    let fleet = fleet().start().await;
    let began = Instant::now();
    fleet.nodes[0].leave_before(GoingDown::Reboot).await;
    // Settling of the claim, and the whole deregistration delay.
    assert!((70..90).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_drained(&fleet, 0);
    assert_eq!(fleet.leases().len(), 1, "others must wait for this node");
    boots_and_is_back(&fleet, 0).await;
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn without_a_free_slot_a_plain_reboot_drains_without_a_lease_after_guard_wait() {
    let log = logged();
    let fleet = fleet().start().await;
    let by_hand = Request { stay_out: true, ..fleet.nodes[1].run(&[]) };
    fleet.nodes[1].driver(by_hand).drive().await.unwrap();
    let others = fleet.leases();
    let began = Instant::now();
    let left = fleet.nodes[0].leave_before(GoingDown::Reboot).await;
    // Up to 90 s for the lease, a quarter of it random, and the drain.
    assert!((60 + 67..60 + 90 + 10).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_drained(&fleet, 0);
    assert_eq!(fleet.leases(), others, "no tag of its own, and nobody else's touched");
    assert!(left.forced && left.history.iter().any(|run| run.reason.is_some()), "{left:?}");
    boots_and_is_back(&fleet, 0).await;
    assert_eq!(fleet.leases(), others);
    log.says("leaving without a lease");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn plain_reboots_of_all_nodes_at_one_time_take_turns_as_long_as_guard_wait_permits() {
    let fleet = fleet().settings(|s| s.guard_wait = seconds(1080)).start().await;
    let most = fleet.watch();
    let mut reboots = tokio::task::JoinSet::new();
    for node in fleet.nodes.clone() {
        reboots.spawn_local(async move {
            let left = node.leave_before(GoingDown::Reboot).await;
            node.boot().await;
            (left.forced, finished(node.resume().await).verdict)
        });
    }
    assert_eq!(reboots.join_all().await, [(false, Verdict::Succeeded); 3]);
    assert_eq!(most.most_out(), 1);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_lease_is_not_waited_for_when_the_drain_would_not_end_in_time() {
    // 20 minutes, less a drain of 18 and one to spare.
    let fleet = fleet().attribute("deregistration_delay.timeout_seconds", "1080").start().await;
    fleet.alb.set_tag(&fleet.arn, "node-agent/lease/i-other", "v1 p=held e=1 k=1");
    let began = Instant::now();
    fleet.nodes[0].leave_before(GoingDown::Reboot).await;
    assert!((1080 + 55..1080 + 75).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_drained(&fleet, 0);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn without_time_for_a_claim_to_settle_a_plain_reboot_leaves_at_once() {
    let fleet = fleet().settings(|s| s.guard_wait = seconds(19)).start().await;
    let began = Instant::now();
    fleet.nodes[0].leave_before(GoingDown::Reboot).await;
    assert!((60..65).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_drained(&fleet, 0);
    assert_eq!(fleet.calls("AddTags").len(), 0);
    boots_and_is_back(&fleet, 0).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn in_an_auto_scaling_group_a_node_drains_before_a_plain_reboot_whatever_asg_says() {
    let fleet = fleet().start().await;
    let mut node = fleet.nodes[0].clone();
    node.identity.auto_scaling = Some("InService".to_owned());
    assert_eq!(node.settings.asg, AutoScaling::Refuse);
    node.leave_before(GoingDown::Reboot).await;
    assert_drained(&fleet, 0);
    assert_eq!(fleet.leases().len(), 1, "with a lease");
    boots_and_is_back(&fleet, 0).await;
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_named_target_group_that_does_not_exist_keeps_no_other_from_being_drained() {
    let log = logged();
    for how in [GoingDown::Reboot, GoingDown::PowerOff] {
        let fleet = fleet().start().await;
        let mut node = fleet.nodes[0].clone();
        node.settings.target_groups.push("deleted".to_owned());
        let began = Instant::now();
        node.leave_before(how).await;
        assert!(began.elapsed() < Duration::from_secs(90), "{how:?}: {:?}", began.elapsed());
        assert_drained(&fleet, 0);
        assert_eq!(fleet.leases().len(), usize::from(how == GoingDown::Reboot));
        boots_and_is_back(&fleet, 0).await;
    }
    log.says("leaving the other groups");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_power_off_drains_at_once_and_writes_no_tag() {
    let fleet = fleet().start().await;
    fleet.nodes[0].leave_before(GoingDown::PowerOff).await;
    assert_drained(&fleet, 0);
    let tagged = fleet
        .alb
        .calls()
        .into_iter()
        .any(|call| call.action.ends_with("Tags") && call.action != "DescribeTags");
    assert!(!tagged);
    // Started again weeks later, it comes back by itself.
    boots_and_is_back(&fleet, 0).await;
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_that_is_not_behind_the_load_balancer_holds_up_nothing() {
    let fleet = fleet().start().await;
    let mut stranger = fleet.nodes[0].clone();
    stranger.settings.target_groups = Vec::new();
    let began = Instant::now();
    stranger.leave_before(GoingDown::Reboot).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(stranger.operation(), None);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_maintenance_on_its_way_back_leaves_again_and_never_registers_a_dying_node() {
    let fleet = fleet().start().await;
    stopped_at(&fleet, fleet.nodes[0].run(&["patch"]), Phase::WaitInService).await;
    fleet.nodes[0].leave_before(GoingDown::Reboot).await;
    assert_drained(&fleet, 0);
    assert_eq!(fleet.leases().len(), 1);
    boots_and_is_back(&fleet, 0).await;
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_maintenance_that_had_not_left_gives_up_its_place_and_the_node_drains() {
    let fleet = fleet().start().await;
    stopped_at(&fleet, fleet.nodes[0].reboot(), Phase::AcquireLease).await;
    fleet.nodes[0].leave_before(GoingDown::PowerOff).await;
    assert_drained(&fleet, 0);
    boots_and_is_back(&fleet, 0).await;
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_drain_under_way_is_finished_and_the_command_is_missed() {
    let fleet = fleet().start().await;
    stopped_at(&fleet, fleet.nodes[0].run(&["patch"]), Phase::Drain).await;
    fleet.nodes[0].leave_before(GoingDown::Reboot).await;
    assert_drained(&fleet, 0);
    assert!(
        fleet.nodes[0].machine.ran.lock().unwrap().is_empty(),
        "the command is not begun on a dying machine"
    );
    fleet.nodes[0].boot().await;
    let finished = finished(fleet.nodes[0].resume().await);
    assert_eq!((finished.verdict, finished.exit_code), (Verdict::FailedButRestored, 1));
    assert!(finished.reason.unwrap().contains("the machine went down before the command was started"));
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_reboot_that_somebody_else_makes_is_the_one_that_was_asked_for() {
    let fleet = fleet().start().await;
    stopped_at(&fleet, fleet.nodes[0].reboot(), Phase::Drain).await;
    fleet.nodes[0].leave_before(GoingDown::Reboot).await;
    assert_drained(&fleet, 0);
    boots_and_is_back(&fleet, 0).await;
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_halted_node_that_is_registered_leaves() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::CheckHealth).await;
    node.service.set(Some(503));
    assert!(matches!(running.await.unwrap(), End::Halted(_)));
    node.service.set(Some(200));
    fleet.alb.register(&fleet.arn, &node.identity.instance_id, PORT);
    fleet.until_in_service().await;
    node.leave_before(GoingDown::Reboot).await;
    assert_drained(&fleet, 0);
    node.boot().await;
    assert_eq!(finished(node.resume().await).verdict, Verdict::FailedButRestored);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_halted_node_that_has_left_long_ago_waits_for_the_floor_and_no_more() {
    let fleet = fleet().attribute("deregistration_delay.timeout_seconds", "600").start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::CheckHealth).await;
    node.service.set(Some(503));
    assert!(matches!(running.await.unwrap(), End::Halted(_)));
    let began = Instant::now();
    node.leave_before(GoingDown::Reboot).await;
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_claim_that_lands_after_a_shutdown_is_removed_after_the_boot() {
    let fleet = fleet().start().await;
    fleet.alb.script("AddTags", Fault::LandsLate(Duration::from_secs(120)), 1);
    // The second claim, at once, must not be taken for settled, and the first must not stay.
    fleet.nodes[0].leave_before(GoingDown::Reboot).await;
    assert_drained(&fleet, 0);
    fleet.nodes[0].boot().await;
    assert_eq!(finished(fleet.nodes[0].resume().await).verdict, Verdict::Succeeded);
    tokio::time::sleep(Duration::from_secs(200)).await;
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_lease_write_without_an_answer_does_not_hold_up_a_shutdown() {
    for action in ["AddTags", "RemoveTags"] {
        let fleet = fleet().start().await;
        // Others hold the slot, so that the lease is tried for and given up.
        let by_hand = Request { stay_out: true, ..fleet.nodes[1].run(&[]) };
        fleet.nodes[1].driver(by_hand).drive().await.unwrap();
        fleet.alb.script(action, Fault::LostAnswer, 1);
        let began = Instant::now();
        fleet.nodes[0].leave_before(GoingDown::Reboot).await;
        assert!(began.elapsed() < Duration::from_secs(180), "{action}: {:?}", began.elapsed());
        assert_drained(&fleet, 0);
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn it_leaves_the_groups_that_it_is_in_when_others_are_named_too() {
    let fleet = fleet().two_groups().start().await;
    let node = &fleet.nodes[0];
    fleet.alb.deregister(&fleet.arns[1], &node.identity.instance_id, PORT);
    tokio::time::sleep(Duration::from_secs(120)).await;
    node.leave_before(GoingDown::Reboot).await;
    assert_drained(&fleet, 0);
    boots_and_is_back(&fleet, 0).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_claim_that_was_given_up_for_the_shutdown_is_removed_if_it_lands_after_the_boot() {
    let fleet = fleet().start().await;
    let node = fleet.nodes[0].clone();
    fleet.alb.script("AddTags", Fault::LandsLate(Duration::from_secs(600)), 1);
    let leaving = tokio::task::spawn_local(async move { node.leave_before(GoingDown::Reboot).await });
    // The claim stands. Then the group cannot spare the node, and there is no time to wait.
    until(|| fleet.lease(0).is_some()).await;
    fleet.alb.deregister(&fleet.arn, &fleet.nodes[2].identity.instance_id, PORT);
    assert!(leaving.await.unwrap().forced);
    assert_drained(&fleet, 0);
    assert!(fleet.leases().is_empty());
    fleet.alb.register(&fleet.arn, &fleet.nodes[2].identity.instance_id, PORT);
    boots_and_is_back(&fleet, 0).await;
    tokio::time::sleep(Duration::from_secs(900)).await;
    fleet.assert_restored();
    assert_eq!(fleet.nodes[0].journal().record.finished.len(), 1, "one shutdown, one entry");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_maintenance_that_is_done_but_still_on_record_is_finished_and_the_node_drains() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let done = node.driver(node.run(&["patch"])).operation;
    let mut journal = node.journal();
    journal.record.operation = Some(Operation { phase: Phase::Done, left: Some(done.began.clone()), ..done });
    journal.save().unwrap();
    drop(journal);
    node.leave_before(GoingDown::Reboot).await;
    assert_drained(&fleet, 0);
    assert_eq!(fleet.leases().len(), 1, "it leaves with a lease, as an idle node does");
    assert_eq!(node.journal().record.finished.len(), 1);
    boots_and_is_back(&fleet, 0).await;
    fleet.assert_restored();
}
