//! Whole maintenances on a paused clock: what a user would notice when all goes well, and when it does not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod fleet;

use fleet::{PORT, finished, fleet, seconds, until};
use local_alb::{Fault, Faults};
use node_agent::driver::End;
use node_agent::phase::{Outcome, Phase};
use node_agent::record::{RebootWhen, Verdict};
use node_agent::settings::OnUnhealthy;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_reboots_and_comes_back_with_its_port_and_without_its_lease() {
    let fleet = fleet().start().await;
    let finished = fleet.nodes[0].finish(fleet.nodes[0].reboot()).await;
    assert_eq!((finished.verdict, finished.exit_code), (Verdict::Succeeded, 0));
    assert_eq!(fleet.nodes[0].machine.reboots.load(Ordering::Relaxed), 1);
    assert_eq!(fleet.pairs(0), [(PORT, "healthy".to_owned())]);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn three_nodes_at_once_leave_one_at_a_time() {
    let fleet = fleet().start().await;
    let watch = fleet.watch();
    let nodes = &fleet.nodes;
    let (a, b, c) = tokio::join!(
        nodes[0].finish(nodes[0].reboot()),
        nodes[1].finish(nodes[1].reboot()),
        nodes[2].finish(nodes[2].reboot()),
    );
    for finished in [a, b, c] {
        assert_eq!(finished.verdict, Verdict::Succeeded, "{finished:?}");
    }
    assert_eq!(watch.most_out(), 1);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_key_of_a_lease_can_carry_the_role_that_iam_pins_it_to() {
    let fleet = fleet().settings(|s| s.lease_role_id = Some("AROAEXAMPLEID1234567".into())).start().await;
    let (node, watch) = (fleet.nodes[0].clone(), fleet.watch());
    let running = tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    let key = format!("AROAEXAMPLEID1234567:{}", fleet.nodes[0].identity.instance_id);
    until(|| fleet.nodes[0].phase() == Some(Phase::Drain)).await;
    assert!(fleet.leases()[&key].contains("p=held"));
    // The others know whose it is.
    let second = fleet.nodes[1].finish(fleet.nodes[1].run(&["patch"])).await;
    assert_eq!((running.await.unwrap().verdict, second.verdict), (Verdict::Succeeded, Verdict::Succeeded));
    assert_eq!(watch.most_out(), 1);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn with_two_slots_two_are_out_and_never_three() {
    let fleet = fleet().nodes(6).tag("max-unavailable", "2").start().await;
    let watch = fleet.watch();
    let mut tasks = tokio::task::JoinSet::new();
    for node in fleet.nodes.clone() {
        tasks.spawn_local(async move { node.finish(node.reboot()).await.verdict });
    }
    assert_eq!(tasks.join_all().await, [Verdict::Succeeded; 6]);
    assert_eq!(watch.most_out(), 2);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn without_a_count_of_requests_the_whole_delay_is_waited_for_and_no_more() {
    let fleet = fleet().start().await;
    let finished = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
    let seconds =
        |phase| finished.phases.iter().filter(|run| run.phase == phase).map(|run| run.seconds).sum::<f64>();
    let out = seconds(Phase::Deregister) + seconds(Phase::Drain);
    assert!((60.0..61.0).contains(&out), "{out}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_idle_service_ends_the_drain_early_but_not_before_the_floor() {
    let idle = fleet().settings(|s| s.in_flight_url = Some("http://service/in-flight".into())).start().await;
    let began = Instant::now();
    let node = idle.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    until(|| !idle.nodes[0].machine.ran.lock().unwrap().is_empty()).await;
    // Settling of the claim, then the floor.
    let passed = began.elapsed();
    assert!((Duration::from_secs(40)..Duration::from_secs(42)).contains(&passed), "{passed:?}");
    assert_eq!(running.await.unwrap().verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_busy_service_is_waited_for() {
    let busy = fleet().settings(|s| s.in_flight_url = Some("http://service/in-flight".into())).start().await;
    busy.nodes[0].service.in_flight.store(2, Ordering::Relaxed);
    let node = busy.nodes[0].clone();
    let began = Instant::now();
    tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    sleep(Duration::from_secs(50)).await;
    assert!(busy.nodes[0].machine.ran.lock().unwrap().is_empty());
    busy.nodes[0].service.in_flight.store(0, Ordering::Relaxed);
    until(|| !busy.nodes[0].machine.ran.lock().unwrap().is_empty()).await;
    // Idle for the quiet period, without waiting for the rest of the delay.
    let passed = began.elapsed();
    assert!((Duration::from_secs(55)..Duration::from_secs(57)).contains(&passed), "{passed:?}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn all_ports_of_a_node_leave_and_come_back() {
    let fleet = fleet().ports(&[8080, 8081]).start().await;
    let node = fleet.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    until(|| fleet.nodes[0].phase() == Some(Phase::Drain)).await;
    assert_eq!(fleet.pairs(0), [(8080, "draining".to_owned()), (8081, "draining".to_owned())]);
    assert_eq!(running.await.unwrap().verdict, Verdict::Succeeded);
    assert_eq!(fleet.pairs(0), [(8080, "healthy".to_owned()), (8081, "healthy".to_owned())]);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn targets_by_address_are_registered_only_when_they_have_drained() {
    let fleet = fleet()
        .by_address()
        .settings(|s| s.in_flight_url = Some("http://service/in-flight".into()))
        .start()
        .await;
    let watch = fleet.watch();
    let nodes = &fleet.nodes;
    let (a, b) = tokio::join!(nodes[0].finish(nodes[0].reboot()), nodes[1].finish(nodes[1].reboot()));
    assert_eq!((a.verdict, b.verdict), (Verdict::Succeeded, Verdict::Succeeded), "{a:?} {b:?}");
    assert_eq!(watch.most_out(), 1);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_failed_command_brings_the_node_back_and_stops_the_roll() {
    let fleet = fleet().start().await;
    let (first, second) = (&fleet.nodes[0], &fleet.nodes[1]);
    *first.machine.command.lock().unwrap() = (Duration::from_secs(5), 3);
    let failed = first.finish(first.run(&["patch"])).await;
    assert_eq!((failed.verdict, failed.exit_code), (Verdict::FailedButRestored, 1));
    assert_eq!(failed.reason.as_deref(), Some("run_command: the command exited with 3"));
    assert_eq!(fleet.alb.instances_out(&fleet.arn), 0);
    assert!(fleet.leases()[&first.identity.instance_id].contains("p=failed"));

    let stopped = second.finish(second.run(&["patch"])).await;
    assert_eq!((stopped.verdict, stopped.exit_code), (Verdict::NothingChanged, 75));
    assert!(stopped.reason.unwrap().contains("1 node(s) failed maintenance"));

    // Its own next success clears the mark, and the roll goes on.
    *first.machine.command.lock().unwrap() = (Duration::from_secs(5), 0);
    assert_eq!(first.finish(first.run(&["patch", "again"])).await.verdict, Verdict::Succeeded);
    fleet.assert_restored();
    assert_eq!(second.finish(second.run(&["patch"])).await.verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_command_that_asks_for_a_reboot_gets_one() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    *node.machine.command.lock().unwrap() = (Duration::from_secs(5), 194);
    let finished = node.finish(node.request(RebootWhen::IfRequired, &["patch"])).await;
    assert_eq!(finished.verdict, Verdict::Succeeded);
    assert_eq!(node.machine.reboots.load(Ordering::Relaxed), 1);
    assert_eq!(node.machine.ran.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_reboot_that_is_not_required_is_left_out() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let finished = node.finish(node.request(RebootWhen::IfRequired, &["patch"])).await;
    assert_eq!(finished.verdict, Verdict::Succeeded);
    assert_eq!(node.machine.reboots.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_service_that_stays_down_halts_the_node_and_resume_brings_it_back() {
    let fleet = fleet().start().await;
    let node = fleet.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.maintain(node.run(&["patch"])).await });
    until(|| fleet.nodes[0].phase() == Some(Phase::CheckHealth)).await;
    fleet.nodes[0].service.set(Some(503));
    let End::Halted(reason) = running.await.unwrap() else { panic!("not halted") };
    assert!(reason.contains("answered 503, not 200") && reason.contains("node-agent resume"), "{reason}");
    assert!(fleet.leases()[&fleet.nodes[0].identity.instance_id].contains("p=halted"));
    assert_eq!(fleet.alb.instances_out(&fleet.arn), 1);
    // Nobody else starts.
    let second = &fleet.nodes[1];
    assert_eq!(second.finish(second.reboot()).await.exit_code, 75);

    fleet.nodes[0].service.set(Some(200));
    let back = finished(fleet.nodes[0].resume().await);
    assert_eq!((back.verdict, back.exit_code), (Verdict::FailedButRestored, 1));
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn told_so_an_unhealthy_node_is_registered_and_the_load_balancer_judges() {
    let fleet = fleet().settings(|s| s.on_unhealthy = OnUnhealthy::Register).start().await;
    let node = fleet.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.maintain(node.run(&["patch"])).await });
    until(|| fleet.nodes[0].phase() == Some(Phase::CheckHealth)).await;
    fleet.nodes[0].service.set(Some(503));
    let End::Halted(reason) = running.await.unwrap() else { panic!("not halted") };
    assert!(reason.contains("unhealthy (Target.ResponseCodeMismatch)"), "{reason}");
    assert_eq!(fleet.pairs(0), [(PORT, "unhealthy".to_owned())]);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_reboot_that_never_comes_is_asked_for_twice_and_then_halts() {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    node.machine.obeys.store(false, Ordering::Relaxed);
    let End::Halted(reason) = node.maintain(node.reboot()).await else { panic!("not halted") };
    assert_eq!(reason, "gave up after 15m of waiting for the machine to go down");
    assert_eq!(node.machine.reboots.load(Ordering::Relaxed), 2);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn stopped_while_draining_the_node_turns_back() {
    let fleet = fleet().start().await;
    let node = fleet.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    until(|| fleet.nodes[0].phase() == Some(Phase::Drain)).await;
    fleet.nodes[0].ask_to_stop();
    let finished = running.await.unwrap();
    assert_eq!((finished.verdict, finished.exit_code), (Verdict::FailedButRestored, 1));
    assert!(fleet.nodes[0].machine.ran.lock().unwrap().is_empty());
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn stopped_while_waiting_nothing_has_changed() {
    let fleet = fleet().start().await;
    fleet.alb.set_tag(&fleet.arn, "node-agent/lease/i-other", "v1 p=held e=1 k=1");
    let node = fleet.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    until(|| fleet.nodes[0].phase() == Some(Phase::AcquireLease)).await;
    fleet.nodes[0].ask_to_stop();
    assert_eq!(running.await.unwrap().exit_code, 75);
    assert_eq!(fleet.leases().len(), 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn stopped_during_the_command_the_command_ends_and_the_node_comes_back() {
    let fleet = fleet().start().await;
    let node = fleet.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    until(|| fleet.nodes[0].phase() == Some(Phase::RunCommand)).await;
    sleep(Duration::from_secs(1)).await;
    fleet.nodes[0].ask_to_stop();
    let finished = running.await.unwrap();
    assert_eq!(finished.verdict, Verdict::FailedButRestored);
    assert_eq!(finished.reason.as_deref(), Some("run_command: the command was stopped"));
    assert_eq!(fleet.alb.instances_out(&fleet.arn), 0);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_unhealthy_neighbour_is_waited_for() {
    let fleet = fleet().start().await;
    fleet.nodes[2].service.set(Some(500));
    until(|| fleet.alb.instances_out(&fleet.arn) == 1).await;
    let node = fleet.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    sleep(Duration::from_secs(600)).await;
    assert_eq!(fleet.nodes[0].phase(), Some(Phase::CheckGroup));
    assert_eq!(fleet.leases().len(), 0, "a lease is never held while blocked");
    fleet.nodes[2].service.set(Some(200));
    assert_eq!(running.await.unwrap().verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_count_on_record_that_is_at_its_limit_stays_there() {
    let fleet = fleet().settings(|s| s.lease_wait = seconds(600)).start().await;
    for number in 0..50 {
        fleet.alb.set_tag(&fleet.arn, &format!("owner-{number}"), "x");
    }
    let mut driver = fleet.nodes[0].driver(fleet.nodes[0].reboot());
    driver.operation.blocked = u32::MAX;
    let finished = finished(driver.drive().await.unwrap());
    assert!(finished.phases.iter().any(|run| run.outcome == Outcome::Blocked), "{finished:?}");
    assert_eq!((finished.verdict, driver.operation.blocked), (Verdict::NothingChanged, u32::MAX));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_unhealthy_group_ends_the_wait_at_its_deadline() {
    let fleet = fleet().settings(|s| s.lease_wait = seconds(600)).start().await;
    fleet.nodes[2].service.set(Some(500));
    until(|| fleet.alb.instances_out(&fleet.arn) == 1).await;
    let began = Instant::now();
    let finished = fleet.nodes[0].finish(fleet.nodes[0].reboot()).await;
    assert_eq!((finished.verdict, finished.exit_code), (Verdict::NothingChanged, 75));
    assert!(finished.reason.unwrap().contains("gave up after 10m"));
    assert!((Duration::from_secs(600)..Duration::from_secs(602)).contains(&began.elapsed()));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_node_that_is_sick_itself_leaves_only_to_be_repaired() {
    let fleet = fleet().settings(|s| s.lease_wait = seconds(60)).start().await;
    let node = &fleet.nodes[0];
    node.service.set(Some(500));
    until(|| fleet.alb.instances_out(&fleet.arn) == 1).await;
    let refused = node.finish(node.run(&["repair"])).await;
    assert!(refused.reason.unwrap().contains("--repair"));

    let mut request = node.run(&["repair"]);
    request.settings.repair = true;
    let node_ = node.clone();
    let running = tokio::task::spawn_local(async move { node_.finish(request).await });
    until(|| !node.machine.ran.lock().unwrap().is_empty()).await;
    node.service.set(Some(200));
    assert_eq!(running.await.unwrap().verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_paused_group_is_left_alone_and_says_why() {
    let fleet = fleet().tag("paused", "release day").start().await;
    let finished = fleet.nodes[0].finish(fleet.nodes[0].reboot()).await;
    assert_eq!(finished.exit_code, 75);
    assert!(finished.reason.unwrap().contains("maintenance is paused: release day"));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_policy_that_cannot_be_read_is_named() {
    let fleet = fleet().tag("max-unavailable", "some").start().await;
    let finished = fleet.nodes[0].finish(fleet.nodes[0].reboot()).await;
    assert_eq!(finished.exit_code, 2);
    assert!(finished.reason.unwrap().contains("node-agent/max-unavailable is \"some\""));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_group_of_one_needs_to_be_told() {
    let fleet = fleet().nodes(1).settings(|s| s.lease_wait = seconds(60)).start().await;
    let node = &fleet.nodes[0];
    let refused = node.finish(node.reboot()).await;
    assert_eq!(refused.exit_code, 75);
    assert!(refused.reason.unwrap().contains("--allow-empty"));
    let mut request = node.reboot();
    request.settings.allow_empty = true;
    assert_eq!(node.finish(request).await.verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn registered_again_by_somebody_else_it_drains_again_before_the_reboot() {
    let fleet = fleet().start().await;
    let node = fleet.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.finish(node.reboot()).await });
    until(|| fleet.nodes[0].phase() == Some(Phase::Drain)).await;
    sleep(Duration::from_secs(20)).await;
    fleet.alb.register(&fleet.arn, &fleet.nodes[0].target_id, PORT);
    let finished = running.await.unwrap();
    assert_eq!(finished.verdict, Verdict::Succeeded);
    let drains = finished.phases.iter().filter(|run| run.phase == Phase::Drain).map(|run| run.outcome);
    assert_eq!(drains.collect::<Vec<_>>(), [Outcome::Blocked, Outcome::Ok]);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn registered_again_and_again_it_turns_back_unrebooted() {
    let fleet = fleet().start().await;
    let node = fleet.nodes[0].clone();
    let (alb, arn, id) = (fleet.alb.clone(), fleet.arn.clone(), node.target_id.clone());
    let meddler = tokio::task::spawn_local(async move {
        loop {
            sleep(Duration::from_secs(25)).await;
            alb.register(&arn, &id, PORT);
        }
    });
    let finished = node.finish(node.reboot()).await;
    meddler.abort();
    assert_eq!(finished.verdict, Verdict::FailedButRestored);
    assert!(finished.reason.unwrap().contains("although we deregistered it, for the 4th time"));
    assert_eq!(node.machine.reboots.load(Ordering::Relaxed), 0);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_lease_wiped_while_out_is_written_again() {
    let fleet = fleet().start().await;
    let node = fleet.nodes[0].clone();
    *node.machine.command.lock().unwrap() = (Duration::from_secs(300), 0);
    let running = tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    until(|| fleet.nodes[0].phase() == Some(Phase::RunCommand)).await;
    let key = format!("node-agent/lease/{}", fleet.nodes[0].identity.instance_id);
    fleet.alb.remove_tag(&fleet.arn, &key);
    sleep(Duration::from_secs(60)).await;
    assert!(fleet.alb.tags(&fleet.arn)[&key].contains("p=held"));
    assert_eq!(running.await.unwrap().verdict, Verdict::Succeeded);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_lease_wiped_while_a_deregistration_may_still_land_is_written_again() {
    let fleet = fleet().start().await;
    fleet.alb.script("DeregisterTargets", Fault::LostAnswer, 1);
    let node = fleet.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    until(|| fleet.nodes[0].phase() == Some(Phase::ReleaseLease)).await;
    let key = format!("node-agent/lease/{}", fleet.nodes[0].identity.instance_id);
    sleep(Duration::from_secs(45)).await;
    fleet.alb.remove_tag(&fleet.arn, &key);
    sleep(Duration::from_secs(45)).await;
    assert!(fleet.alb.tags(&fleet.arn)[&key].contains("p=held"));
    assert_eq!(running.await.unwrap().verdict, Verdict::Succeeded);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_outage_of_the_api_while_out_is_sat_through() {
    let fleet = fleet().start().await;
    let node = fleet.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.finish(node.reboot()).await });
    until(|| fleet.nodes[0].phase() == Some(Phase::Drain)).await;
    fleet.alb.set_faults(Faults { refuse: true, ..Faults::default() });
    sleep(Duration::from_secs(90)).await;
    fleet.alb.set_faults(Faults::default());
    assert_eq!(running.await.unwrap().verdict, Verdict::Succeeded);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn throttling_slows_a_maintenance_down_and_does_not_end_it() {
    let fleet = fleet().start().await;
    for action in [
        "DescribeTargetHealth",
        "DescribeTags",
        "AddTags",
        "DeregisterTargets",
        "RegisterTargets",
        "RemoveTags",
    ] {
        fleet.alb.script(action, Fault::Throttled, 4);
    }
    let finished = fleet.nodes[0].finish(fleet.nodes[0].reboot()).await;
    assert_eq!(finished.verdict, Verdict::Succeeded, "{finished:?}");
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_deregistration_without_an_answer_keeps_the_lease_until_it_cannot_land_any_more() {
    let fleet = fleet().start().await;
    fleet.alb.script("DeregisterTargets", Fault::LostAnswer, 1);
    let began = Instant::now();
    let finished = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
    assert_eq!(finished.verdict, Verdict::Succeeded);
    assert!(began.elapsed() >= Duration::from_secs(15 * 60), "{:?}", began.elapsed());
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_deregistration_that_lands_late_is_undone_before_the_lease_is_given_back() {
    let fleet = fleet().start().await;
    fleet.alb.script("DeregisterTargets", Fault::LandsLate(Duration::from_secs(600)), 1);
    let watch = fleet.watch();
    let nodes = &fleet.nodes;
    let (a, b) =
        tokio::join!(nodes[0].finish(nodes[0].run(&["patch"])), nodes[1].finish(nodes[1].run(&["patch"])));
    assert_eq!((a.verdict, b.verdict), (Verdict::Succeeded, Verdict::Succeeded));
    assert_eq!(watch.most_out(), 1);
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_claim_whose_answer_was_lost_is_made_again_as_a_claim_of_its_own() {
    let fleet = fleet().start().await;
    fleet.alb.script("AddTags", Fault::LostAnswer, 1);
    let finished = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
    assert_eq!(finished.verdict, Verdict::Succeeded);
    let values: Vec<_> = fleet
        .alb
        .calls()
        .into_iter()
        .filter(|call| call.action == "AddTags")
        .flat_map(|call| call.parameters.into_iter().find(|(name, _)| name == "Tags.member.1.Value"))
        .collect();
    assert_eq!(values.len(), 2);
    assert_ne!(values[0], values[1], "the lost one could land later and pass for the one that has settled");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_target_group_deleted_meanwhile_is_finished_with_a_warning() {
    let fleet = fleet().start().await;
    let node = fleet.nodes[0].clone();
    let running = tokio::task::spawn_local(async move { node.finish(node.run(&["patch"])).await });
    until(|| fleet.nodes[0].phase() == Some(Phase::RunCommand)).await;
    fleet.alb.delete_target_group(&fleet.arn);
    let finished = running.await.unwrap();
    assert_eq!(finished.exit_code, 1);
    assert!(finished.reason.unwrap().contains("all our target groups have been deleted"));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn nothing_is_sent_twice_behind_our_back() {
    let fleet = fleet().start().await;
    fleet.alb.script("RemoveTags", Fault::ServerError, 1);
    let finished = fleet.nodes[0].finish(fleet.nodes[0].run(&["patch"])).await;
    assert_eq!(finished.verdict, Verdict::Succeeded);
    let calls = fleet.alb.calls();
    let count = |action: &str| calls.iter().filter(|call| call.action == action).count();
    // One failed, one made by us; the SDK adds none.
    assert_eq!(count("RemoveTags"), 2);
    assert_eq!(count("DeregisterTargets"), 1);
    assert_eq!(count("RegisterTargets"), 1);
}
