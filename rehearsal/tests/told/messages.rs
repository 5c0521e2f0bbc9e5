//! Messages that lead somewhere.

use crate::estate::{Estate, estate, node, quick_group};

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_node_is_not_said_to_come_back_by_resume() {
    let estate = estate().await.lease(2, "v1 p=failed e=1");
    let run = estate.agent(&["check", "--start"]).await;
    run.says(1, &["run `node-agent maintain` on a failed node, or `node-agent lease clear` with its ID"]);
    assert!(!run.out.contains("resume"), "{run:#?}");
    let halted = estate.lease(2, "v1 p=halted e=1 k=1");
    halted.agent(&["check", "--start"]).await.says(1, &["run `node-agent resume` on a halted node"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_cannot_be_read_gets_an_example() {
    let estate = estate().await;
    for time in ["04:00", "2h", "2026-11-26 04:00"] {
        for verb in [["maintain", "--reboot"].as_slice(), &["drain"]] {
            let run = estate.agent(&[verb, &["--not-after", time]].concat()).await;
            run.says(2, &["it needs a date, a time and a zone, such as 2026-11-24T04:00:00Z"]);
        }
    }
    estate.is_untouched();
}

/// A managed group of another kind with these nodes.
async fn beside_another_team(members: &[usize]) -> Estate {
    let estate = estate().await.configured_instead("target_groups = [\"web\"]", "");
    estate.alb.set_tag(&estate.arn, "node-agent/managed", "true");
    let mut other = quick_group("other-team", members.iter().map(|number| (node(*number), 8080)).collect());
    other.protocol = "TCP".to_owned();
    other.tags.insert("node-agent/managed".to_owned(), "true".to_owned());
    estate.alb.create_target_group(other).unwrap();
    estate
}

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_group_of_another_kind_without_this_node_is_left_out() {
    let estate = beside_another_team(&[3]).await;
    estate.agent(&["maintain", "--", "true"]).await.says(0, &["succeeded"]);
    estate.agent(&["pause", "release"]).await.says(0, &["web: paused", "left out", "other-team"]);
    assert!(estate.alb.tags(&estate.arn).contains_key("node-agent/paused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_group_of_another_kind_with_this_node_keeps_it_in_service() {
    let estate = beside_another_team(&[1]).await;
    estate
        .agent(&["maintain", "--", "true"])
        .await
        .says(2, &["other-team", "uses the protocol TCP", "works with groups of type instance or ip"]);
    estate.agent(&["check"]).await.says(1, &["other-team", "uses the protocol TCP"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_in_arguments_and_urls_are_not_shown() {
    let secret = "hunter2";
    let estate = estate()
        .await
        .configured(&format!("in_flight_url = \"http://ops:{secret}@127.0.0.1:1/in-flight\""))
        .configured(&format!("notify_command = [\"sh\", \"-c\", \"exit 1 # {secret}\"]"))
        .configured_instead("reboot_command = [\"false\"]", "")
        .configured(&format!("reboot_command = [\"false\", \"{secret}\"]\nreboot_limit = \"1s\""))
        .configured(&format!("reboot_required_command = [\"sh\", \"-c\", \"exit 1 # {secret}\"]"));
    let fails = format!("false # {secret}");
    let command = ["maintain", "--", "sh", "-c", &fails];
    let run = estate.agent(&command).await;
    run.says(1, &["running `sh`", "the command exited with 1"]);
    let dry = estate.agent(&["maintain", "--dry-run", "--", "sh", "-c", &fails]).await;
    dry.says(0, &["run_command `sh`"]);
    let reboot = estate.agent(&["maintain", "--reboot=if-required"]).await;
    reboot.says(1, &["failed to reboot with `false`"]);
    let missing = estate.agent(&["maintain", "--", "no-such-program", secret]).await;
    missing.says(2, &["failed to find the program of the command `no-such-program`"]);
    let status = estate.agent(&["status"]).await;
    for run in [run, dry, reboot, missing, status] {
        assert!(!format!("{}{}", run.out, run.err).contains(secret), "{run:#?}");
    }
    // Whoever looks for it finds it.
    let debug = estate.with("NODE_AGENT_LOG", "debug").agent(&command).await;
    debug.says(1, &["with its arguments", secret]);
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_says_that_it_could_not_look_for_a_lease() {
    let estate = estate().await;
    estate.agent(&["maintain", "--", "true"]).await.says(0, &["succeeded"]);
    estate.agent(&["resume"]).await.says(0, &["nothing to do: no maintenance in progress"]);
    let down = estate.with("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", "http://127.0.0.1:1");
    down.agent(&["resume"]).await.says(
        75,
        &[
            "no maintenance is on record, but failed to look for a lease of this node",
            "Connection refused",
            "check the network",
        ],
    );
}
