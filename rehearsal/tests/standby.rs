//! `--asg standby` with the real program, over sockets: maintained, killed and resumed, and asked beforehand by `check --start`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod estate;

use estate::{Estate, NODE, estate, node, until};
use local_alb::AutoScalingGroup;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::Instant;

const GROUP: &str = "fleet";

/// The three nodes are an Auto Scaling group that must not have fewer than two.
async fn scaled() -> Estate {
    let estate = estate().await;
    let group = AutoScalingGroup {
        min: 2,
        desired: 3,
        target_groups: vec![estate.arn.clone()],
        instances: (1..=3).map(|number| (node(number), "InService".to_owned())).collect(),
        ..AutoScalingGroup::default()
    };
    estate.alb.set_auto_scaling_group(GROUP, group);
    let api = estate::serve(estate.alb.aws().auto_scaling()).await;
    estate.configured("asg = \"standby\"").with("AWS_ENDPOINT_URL_AUTO_SCALING", &api)
}

fn group(estate: &Estate) -> AutoScalingGroup {
    estate.alb.auto_scaling_group(GROUP).unwrap()
}

fn change(estate: &Estate, change: impl FnOnce(&mut AutoScalingGroup)) {
    let mut changed = group(estate);
    change(&mut changed);
    estate.alb.set_auto_scaling_group(GROUP, changed);
}

fn calls(estate: &Estate, action: &str) -> usize {
    estate.alb.calls().iter().filter(|call| call.action == action).count()
}

/// All in service, as many wanted as before, and only the group has moved a target.
fn as_before(estate: &Estate) {
    let group = group(estate);
    assert_eq!((group.min, group.desired), (2, 3));
    assert!(group.instances.values().all(|state| state == "InService"), "{group:?}");
    assert_eq!(estate.alb.instances_out(&estate.arn), 0);
    assert_eq!((calls(estate, "EnterStandby"), calls(estate, "ExitStandby")), (1, 1));
    assert_eq!((calls(estate, "DeregisterTargets"), calls(estate, "RegisterTargets")), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_maintained_in_standby() {
    let estate = scaled().await;
    estate.agent(&["maintain", "--", "true"]).await.says(0, &["succeeded"]);
    as_before(&estate);
    assert_eq!(estate.alb.tags(&estate.arn), [].into(), "the lease is given back");
}

/// Kills the program at that moment, and has `resume` go on.
async fn killed_when(moment: impl Fn(&Estate) -> bool, command: &[&str], code: i32, part: &str) {
    let estate = scaled().await;
    let mut program = Command::new(env!("CARGO_BIN_EXE_rehearsal"));
    program.args(["node-agent", "maintain", "--"]).args(command).env_clear().envs(&estate.environment);
    let mut running = program.kill_on_drop(true).spawn().unwrap();
    until(|| moment(&estate)).await;
    running.kill().await.unwrap();
    assert_eq!(group(&estate).desired, 2, "killed while it is not out");
    estate.agent(&["resume"]).await.says(code, &[part]);
    as_before(&estate);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_on_its_way_to_standby_it_goes_on_from_there() {
    let entering = |estate: &Estate| group(estate).instances[NODE] == "EnteringStandby";
    killed_when(entering, &["true"], 0, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_standby_it_comes_back_and_its_command_is_not_run_again() {
    let running = |estate: &Estate| {
        std::fs::read_to_string(estate.record()).is_ok_and(|text| text.contains("\"command\": \"running\""))
    };
    killed_when(running, &["sleep", "60"], 1, "it is not run again").await;
}

/// `check --start` and a dry run have this answer, and change nothing.
/// `check --start` answers yes or no. `maintain --dry-run` ends as the maintenance would.
async fn asked(estate: &Estate, code: i32, parts: &[&str]) {
    estate.agent(&["check", "--start"]).await.says(code.min(1), parts);
    estate.agent(&["maintain", "--dry-run", "--reboot"]).await.says(code, parts);
    estate.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_the_group_spares_a_node_can_be_asked() {
    let estate = scaled().await;
    asked(&estate, 0, &["yes"]).await;
    change(&estate, |group| group.min = 3);
    let advice = "raise the desired capacity by one or lower the minimum by one";
    asked(&estate, 2, &["no\n", "has a desired capacity of 3 and a minimum of 3", advice]).await;
    change(&estate, |group| drop(group.instances.insert(node(2), "Standby".into())));
    asked(&estate, 75, &["until the instance in standby is back; `maintain` would wait"]).await;
    change(&estate, |group| group.suspended = ["Launch".to_owned()].into());
    asked(&estate, 2, &["the process Launch of the Auto Scaling group fleet is suspended"]).await;
    change(&estate, |group| group.suspended.clear());
    change(&estate, |group| group.min = 2);
    change(&estate, |group| group.target_groups.clear());
    asked(&estate, 2, &["does not move this node in the target group web", "--asg ignore"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_on_another_port_than_its_target_groups_is_refused_when_asked() {
    let estate = scaled().await;
    let (port, _service) = estate::service().await;
    estate.alb.register(&estate.arn, NODE, port);
    estate.alb.deregister(&estate.arn, NODE, estate.port);
    until(|| estate.alb.instances_out(&estate.arn) == 0).await;
    asked(&estate, 2, &["no\n", "on the port of the target group alone", "--asg ignore"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_decision_the_choices_are_named_beforehand() {
    let estate = scaled().await.configured_instead("standby", "refuse");
    asked(&estate, 2, &["no\n", "--asg standby", "--asg ignore"]).await;
    let estate = estate.configured_instead("refuse", "ignore");
    asked(&estate, 0, &["yes"]).await;
    let asks = ["DescribeAutoScalingInstances", "DescribeAutoScalingGroups"];
    assert_eq!(asks.map(|action| calls(&estate, action)), [0, 0], "nobody needs the permission then");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_does_not_answer_is_named_within_five_seconds() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let estate = scaled().await.with("AWS_ENDPOINT_URL_AUTO_SCALING", &address);
    let begun = Instant::now();
    let run = estate.agent(&["check", "--start"]).await;
    // Beside the five seconds, what a busy machine takes to start a program.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    run.says(1, &["no\n", "cannot tell: no answer within 3 s from the Auto Scaling API", "is healthy"]);
    estate.is_untouched();
}
