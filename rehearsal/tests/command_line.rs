//! The agent as a program, over real sockets: what it prints, what it exits with, what it leaves behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod estate;

use estate::{Estate, NODE, estate};
use local_alb::AutoScalingGroup;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_while_the_node_is_out_and_the_verdict_is_printed() {
    let estate = estate().await;
    let seen = estate.dir.path().join("seen");
    let script = format!("touch {}", seen.display());
    let run = estate.agent(&["maintain", "--", "sh", "-c", &script]).await;
    run.says(0, &["succeeded", "drain", "run_command", "release_lease", "drain ended after"]);
    assert!(seen.exists());
    assert_eq!(estate.alb.instances_out(&estate.arn), 0);
    assert_eq!(estate.alb.tags(&estate.arn), BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn drain_and_rejoin_are_the_two_halves() {
    let estate = estate().await;
    estate.agent(&["check"]).await.says(1, &["no", "is healthy in web: requests would be lost"]);
    estate.agent(&["check", "--start"]).await.says(0, &["yes"]);
    estate.agent(&["drain"]).await.says(0, &["drained: out of service until `node-agent rejoin`"]);
    assert_eq!(estate.alb.instances_out(&estate.arn), 1);
    estate.agent(&["check"]).await.says(0, &["yes"]);
    estate
        .agent(&["status"])
        .await
        .says(0, &["phase     drained", "driver    not running", "i-0a000000000000001  held"]);
    estate.agent(&["resume"]).await.says(0, &["drained"]);
    assert_eq!(estate.alb.instances_out(&estate.arn), 1, "resume leaves a drained node out");
    estate.agent(&["maintain", "--reboot"]).await.says(75, &["is drained; run `node-agent rejoin` first"]);
    estate.agent(&["rejoin"]).await.says(0, &["succeeded"]);
    assert_eq!(estate.alb.instances_out(&estate.arn), 0);
    estate.agent(&["rejoin"]).await.says(0, &["nothing to do: no maintenance"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_never_gets_healthy_halts_the_node_and_keeps_the_record() {
    let estate = estate().await.configured("health_limit = \"1s\"");
    estate.agent(&["drain"]).await.says(0, &[]);
    estate.services[0].abort();
    estate
        .agent(&["rejoin"])
        .await
        .says(3, &["halted: the node keeps its lease and counts", "gave up after 1s", "node-agent resume"]);
    assert!(estate.alb.tags(&estate.arn)[&format!("node-agent/lease/{NODE}")].contains("p=halted"));
    estate.agent(&["maintain", "--reboot"]).await.says(3, &["is halted", "node-agent resume"]);
    estate.agent(&["status"]).await.says(0, &["phase     halted", "reason"]);
    let json = estate.agent(&["status", "--json"]).await;
    let status: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(status["operation"]["phase"], "halted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let estate = estate().await;
    let run = estate.agent(&["maintain", "--dry-run", "--reboot=if-required", "--", "dnf", "upgrade"]).await;
    run.says(0, &["plan: check_group", "run_command `dnf`, reboot if required", "yes"]);
    estate.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_do_is_wrong_usage() {
    let estate = estate().await;
    estate
        .agent(&["maintain"])
        .await
        .says(2, &["nothing to do: give --reboot, a command after `--`, or both"]);
    estate.agent(&["patch"]).await.says(2, &["unrecognized subcommand 'patch'"]);
    estate.is_untouched();
}

#[tokio::test]
async fn without_a_command_a_node_that_needs_no_reboot_stays_in_service() {
    if ["/run/reboot-required", "/var/run/reboot-required"]
        .iter()
        .any(|path| std::path::Path::new(path).exists())
    {
        eprintln!("skipped: this machine requires a reboot");
        return;
    }
    for (needs_restarting, code, says) in
        [(0, 0, "nothing to do: the system requires no reboot"), (1, 1, "reboot")]
    {
        let mut estate = estate().await.configured("reboot_limit = \"1s\"");
        let dnf = estate.dir.path().join("dnf");
        std::fs::write(&dnf, format!("#!/bin/sh\nexit {needs_restarting}\n")).unwrap();
        std::fs::set_permissions(&dnf, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        estate.environment.insert("PATH", format!("{}:/usr/bin:/bin", estate.dir.path().display()));
        // The reboot command of this machine fails.
        estate.agent(&["maintain", "--reboot=if-required"]).await.says(code, &[says]);
        let left = estate.alb.calls().iter().any(|call| call.action == "DeregisterTargets");
        assert_eq!(left, needs_restarting == 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_group_is_named_and_nothing_changes() {
    let estate = estate().await;
    let run = estate.agent(&["--target-group", "wbe", "maintain", "--reboot"]).await;
    run.says(2, &["TargetGroupNotFound", "describe-target-groups", "nothing changed"]);
    let arn = estate.arn.replace("/web/", "/wbe/");
    estate.agent(&["--target-group", &arn, "maintain", "--reboot"]).await.says(2, &["TargetGroupNotFound"]);
    estate
        .agent(&["--target-group", "arn:nonsense", "maintain", "--reboot"])
        .await
        .says(2, &["ValidationError"]);
    estate.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_outside_the_group_is_told_so() {
    let estate = estate().await;
    let run = estate.agent(&["--instance-id", "i-0b000000000000009", "maintain", "--reboot"]).await;
    run.says(2, &["i-0b000000000000009 is not registered in the target group web", "register it first"]);
    estate.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_does_not_answer_is_waited_for_and_named() {
    let estate = estate().await.with("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", "http://127.0.0.1:9");
    let run = estate.agent(&["--lease-wait", "1s", "maintain", "--reboot"]).await;
    run.says(
        75,
        &[
            "gave up after 1s",
            "Connection refused",
            "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2",
            "nothing changed",
        ],
    );
    estate.agent(&["check"]).await.says(1, &["cannot tell"]);
    estate.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_region_or_credentials_the_message_says_where_to_put_them() {
    let bare = estate().await.with("AWS_EC2_METADATA_DISABLED", "true");
    bare.agent(&["maintain", "--reboot"]).await.says(2, &["failed to find the AWS region", "--region"]);
    let no_keys = bare.with("AWS_REGION", "us-east-1");
    no_keys
        .agent(&["maintain", "--reboot"])
        .await
        .says(2, &["failed to get AWS credentials", "instance profile"]);
    no_keys.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_metadata_service_the_instance_id_has_to_be_given() {
    let estate = estate().await.with("AWS_EC2_METADATA_DISABLED", "true").with("AWS_REGION", "us-east-1");
    let estate = estate.with("AWS_ACCESS_KEY_ID", "x").with("AWS_SECRET_ACCESS_KEY", "y");
    estate
        .agent(&["maintain", "--reboot"])
        .await
        .says(2, &["failed to get the instance id", "--instance-id"]);
    estate.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_named_with_its_line() {
    let estate = estate().await.configured("drain_flor = \"9s\"");
    estate
        .agent(&["maintain", "--reboot"])
        .await
        .says(2, &["unknown field `drain_flor`", "config.toml", "line 11"]);
    estate.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_reaches_nobody_still_says_what_its_record_says() {
    let estate = estate().await.configured("health_limit = \"1s\"");
    estate.agent(&["drain"]).await.says(0, &[]);
    estate.services[0].abort();
    estate.agent(&["rejoin"]).await.says(3, &["halted"]);
    let alone = estate.with("AWS_EC2_METADATA_DISABLED", "true");
    let told =
        ["node      i-0a000000000000001", "phase     halted", "reason    check_health: gave up after 1s"];
    let run = alone.agent(&["status"]).await;
    run.says(0, &told);
    run.says(0, &["problem   failed to find the AWS region"]);
    let keyless = alone.with("AWS_REGION", "us-east-1");
    let run = keyless.agent(&["status"]).await;
    run.says(0, &told);
    run.says(0, &["problem   failed to get AWS credentials"]);
    // Credentials, and no metadata service.
    let run = keyless.on_a_laptop().agent(&["status"]).await;
    run.says(0, &told);
    run.says(0, &["group     web: 2 of 2 instances healthy", "i-0a000000000000001  halted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_used_keeps_no_maintenance_from_its_end() {
    let estate = estate().await;
    estate.agent(&["drain"]).await.says(0, &[]);
    let broken = estate.configured("drain_flor = \"9s\"");
    broken.agent(&["idle"]).await.says(1, &["unknown field `drain_flor`", "is in phase drained"]);
    broken
        .agent(&["status"])
        .await
        .says(0, &["phase     drained", "problem   failed to parse the configuration"]);
    broken.agent(&["maintain", "--reboot"]).await.says(2, &["unknown field `drain_flor`"]);
    broken.agent(&["rejoin"]).await.says(0, &["unknown field `drain_flor`", "succeeded"]);
    assert_eq!(broken.alb.instances_out(&broken.arn), 0);
    // With nothing on record there are no other settings to go by.
    broken.agent(&["resume"]).await.says(2, &["unknown field `drain_flor`"]);
    broken.agent(&["idle"]).await.says(0, &["unknown field `drain_flor`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unhealthy_group_is_waited_for_and_named() {
    let estate = estate().await.configured("lease_wait = \"2s\"");
    estate.services[1].abort();
    while estate.alb.instances_out(&estate.arn) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let run = estate.agent(&["maintain", "--reboot"]).await;
    run.says(75, &["in target group web", "not healthy: i-0a000000000000002", "nothing changed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_auto_scaling_group_the_choices_are_named() {
    let estate = estate().await;
    let instances = [(NODE.to_owned(), "InService".to_owned())].into();
    estate.alb.set_auto_scaling_group("fleet", AutoScalingGroup { instances, ..AutoScalingGroup::default() });
    estate
        .agent(&["maintain", "--reboot"])
        .await
        .says(2, &["Auto Scaling group", "--asg standby", "--asg ignore"]);
    estate.is_untouched();
    estate.agent(&["--asg", "ignore", "maintain", "--", "true"]).await.says(0, &["succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_is_refused_and_kept() {
    let estate = estate().await;
    std::fs::create_dir_all(estate.record().parent().unwrap()).unwrap();
    std::fs::write(estate.record(), "{\"version\": 1, \"inst").unwrap();
    for args in [["maintain", "--reboot"].as_slice(), &["resume"], &["rejoin"]] {
        estate.agent(args).await.says(3, &["failed to read the record", "nothing was done"]);
    }
    assert_eq!(std::fs::read_to_string(estate.record()).unwrap(), "{\"version\": 1, \"inst");
    estate.is_untouched();
}

/// A maintenance whose process was killed while its command ran.
async fn killed_while_out() -> Estate {
    let estate = estate().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_rehearsal"));
    command.args(["node-agent", "maintain", "--", "sleep", "60"]).env_clear().envs(&estate.environment);
    let mut killed = command.kill_on_drop(true).spawn().unwrap();
    let running = || {
        std::fs::read_to_string(estate.record()).is_ok_and(|text| text.contains("\"command\": \"running\""))
    };
    while !running() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    killed.kill().await.unwrap();
    estate
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_while_out_is_finished_by_resume() {
    let estate = killed_while_out().await;
    estate
        .agent(&["maintain", "--reboot"])
        .await
        .says(75, &["stopped at run_command; run `node-agent resume` first"]);
    let run = estate.agent(&["resume"]).await;
    run.says(
        1,
        &[
            "it is not run again",
            "the node is back in service; if its lease is marked failed",
            "counts against node-agent/max-failures",
        ],
    );
    assert_eq!(estate.alb.instances_out(&estate.arn), 0);
    assert!(estate.alb.tags(&estate.arn)[&format!("node-agent/lease/{NODE}")].contains("p=failed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_a_killed_driver_leaves_to_its_child_is_not_taken_for_a_driver() {
    let estate = killed_while_out().await;
    let lock = std::fs::File::create(estate.record().with_file_name("lock")).unwrap();
    lock.lock().unwrap();
    // As a child between fork and exec holds it.
    let mut child = std::process::Command::new("sleep").arg("0.5").stdin(lock).spawn().unwrap();
    let run = estate.agent(&["maintain", "--reboot"]).await;
    run.says(75, &["stopped at run_command; run `node-agent resume` first"]);
    child.wait().unwrap();
}
