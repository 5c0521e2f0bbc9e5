//! What an operator can do about leases and policy, from a machine that is no node: messages, exit codes, and the tags as
//! they are afterwards.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod estate;

use estate::{NODE, estate, lease_key, node, until};
use local_alb::Fault;
use std::time::Duration;

const HELD: &str = "v1 p=held e=abc t=0 s=0 k=1 op=patch at=2026-01-02T03:04:05Z";

#[tokio::test(flavor = "multi_thread")]
async fn break_frees_the_slot_and_says_what_that_means() {
    let estate = estate().await.on_a_laptop().lease(1, HELD);
    let run = estate.agent(&["lease", "break", NODE]).await;
    run.says(
        0,
        &["web: broke the lease of i-0a000000000000001, which was held", "Its slot is free", "lease gc"],
    );
    assert_eq!(estate.lease_of(1), Some(HELD.replace("held", "broken")));
    estate.agent(&["lease", "break", NODE]).await.says(0, &["nothing to do"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn break_writes_to_the_very_key_with_a_role_id_in_front() {
    let estate = estate().await.on_a_laptop();
    let key = format!("node-agent/lease/AROAEXAMPLE:{NODE}");
    estate.alb.set_tag(&estate.arn, &key, HELD);
    estate.agent(&["lease", "break", NODE]).await.says(0, &["broke the lease"]);
    assert_eq!(estate.alb.tags(&estate.arn), [(key, HELD.replace("held", "broken"))].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn break_is_refused_where_there_is_nothing_to_break_or_another_is_broken() {
    let estate = estate().await.on_a_laptop().lease(1, HELD).lease(2, "v1 p=failed e=1");
    estate.agent(&["lease", "break", &node(2)]).await.says(2, &["is failed", "lease clear"]);
    estate.agent(&["lease", "break", &node(3)]).await.says(0, &["nothing to do", "has no lease in web"]);
    let estate = estate.lease(3, "v1 p=broken e=1");
    estate
        .agent(&["lease", "break", NODE])
        .await
        .says(75, &["the lease of i-0a000000000000003 is already broken", "only one"]);
    assert_eq!(estate.lease_of(1).as_deref(), Some(HELD));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_breaks_at_the_same_time_are_both_put_back() {
    // Long enough for both to write before either looks.
    let estate = estate().await.on_a_laptop().lease(1, HELD).lease(2, HELD);
    let estate = estate.configured_instead("settle = \"200ms\"", "settle = \"5s\"");
    let second = async {
        until(|| estate.lease_of(1).is_some_and(|tag| tag.contains("p=broken"))).await;
        // Another operator, who looked before the first wrote.
        estate.alb.set_tag(&estate.arn, &lease_key(2), &HELD.replace("held", "broken"));
    };
    let (first, ()) = tokio::join!(estate.agent(&["lease", "break", NODE]), second);
    first.says(75, &["broken at the same time", "has been restored"]);
    let restored = estate.lease_of(1).unwrap();
    assert!(restored.contains("p=held") && !restored.contains("e=abc"), "{restored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn break_notices_an_owner_that_is_alive() {
    let estate = estate().await.on_a_laptop().lease(1, HELD);
    let estate = estate.configured_instead("settle = \"200ms\"", "settle = \"5s\"");
    let owner = async {
        until(|| estate.lease_of(1).is_some_and(|tag| tag.contains("p=broken"))).await;
        estate.alb.set_tag(&estate.arn, &lease_key(1), &HELD.replace("abc", "def"));
    };
    let (run, ()) = tokio::join!(estate.agent(&["lease", "break", NODE]), owner);
    run.says(2, &["its agent is running", "systemctl stop node-agent"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn break_looks_when_the_answer_is_lost() {
    let estate = estate().await.on_a_laptop().lease(1, HELD);
    estate.alb.script("AddTags", Fault::LostAnswer, 1);
    estate.agent(&["lease", "break", NODE]).await.says(0, &["broke the lease"]);

    let estate = estate.lease(1, HELD);
    estate.alb.script("AddTags", Fault::Refused, 1);
    estate.agent(&["lease", "break", NODE]).await.says(75, &["the response was lost", "try again"]);
    assert_eq!(estate.lease_of(1).as_deref(), Some(HELD));
}

#[tokio::test(flavor = "multi_thread")]
async fn clear_removes_marks_and_leaves_slots_alone() {
    let estate = estate().await.on_a_laptop().lease(1, "v1 p=failed e=1").lease(2, HELD);
    let estate = estate.lease(3, "v1 p=halted e=1");
    estate.agent(&["lease", "clear", NODE]).await.says(0, &["removed node-agent/lease/", "(failed)"]);
    assert_eq!(estate.lease_of(1), None);
    estate.agent(&["lease", "clear", NODE]).await.says(0, &["nothing to do"]);
    for number in [2, 3] {
        let run = estate.agent(&["lease", "clear", &node(number)]).await;
        run.says(2, &["uses a slot", "node-agent resume", "node-agent lease break"]);
        assert!(estate.lease_of(number).is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clear_leaves_a_node_alone_that_has_begun_again() {
    let estate = estate().await.on_a_laptop().lease(1, "v1 p=failed e=1");
    let estate = estate.configured_instead("settle = \"200ms\"", "settle = \"5s\"");
    let looked = || estate.alb.calls().iter().any(|call| call.action == "DescribeTags");
    let owner = async {
        until(looked).await;
        estate.alb.set_tag(&estate.arn, &lease_key(1), HELD);
    };
    let (run, ()) = tokio::join!(estate.agent(&["lease", "clear", NODE]), owner);
    assert!(run.code == Some(75) || run.code == Some(2), "{run:#?}");
    assert_eq!(estate.lease_of(1).as_deref(), Some(HELD));
}

#[tokio::test(flavor = "multi_thread")]
async fn gc_removes_what_is_not_registered_and_keeps_what_is() {
    let estate = estate().await.on_a_laptop().lease(1, HELD).lease(8, HELD).lease(9, "v1 p=failed e=1");
    let run = estate.agent(&["lease", "gc", NODE, &node(8), &node(7)]).await;
    run.says(1, &["is healthy in this group, so it is not terminated", "nothing to do: i-0a000000000000007"]);
    assert_eq!((estate.lease_of(8), estate.lease_of(1).as_deref()), (None, Some(HELD)));
    estate.agent(&["lease", "gc", &node(9)]).await.says(0, &["removed", "(failed)"]);
    assert_eq!(estate.lease_of(9), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn gc_keeps_all_leases_of_an_instance_that_is_registered_in_one_group() {
    let estate = estate().await.on_a_laptop().with("NODE_AGENT_TARGET_GROUPS", "web,api");
    let api = estate.alb.create_target_group(estate::quick_group("api", Vec::new())).unwrap();
    for number in [1, 8] {
        estate.alb.set_tag(&api, &estate::lease_key(number), HELD);
    }
    let run = estate.agent(&["lease", "gc", NODE, &node(8)]).await;
    run.says(
        1,
        &[
            "is healthy in this group, so it is not terminated",
            "api: removed node-agent/lease/i-0a000000000000008",
        ],
    );
    assert_eq!(estate.alb.tags(&api).keys().filter(|key| key.contains("/lease/")).count(), 1);
    assert!(estate.alb.tags(&api).contains_key(&estate::lease_key(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn gc_without_ids_says_how_to_find_them() {
    let estate = estate().await.on_a_laptop();
    estate.agent(&["lease", "gc"]).await.says(0, &["no leases in web"]);
    let estate = estate.lease(1, HELD).lease(9, "v1 p=failed e=1");
    let run = estate.agent(&["lease", "gc"]).await;
    run.says(
        0,
        &[
            "web: i-0a000000000000009 failed",
            "node-agent lease gc --ask-ec2",
            "aws ec2 describe-instances --region us-east-1",
            "Values=i-0a000000000000001,i-0a000000000000009",
            "node-agent lease gc INSTANCE-ID",
        ],
    );
    assert!(estate.lease_of(9).is_some());
}

/// In place of the AWS CLI: says this, and keeps the words it was called with.
fn with_aws_cli_saying(estate: estate::Estate, exit_code: u8, says: &str) -> estate::Estate {
    use std::os::unix::fs::PermissionsExt;
    let (dir, words) = (estate.dir.path().join("bin"), estate.dir.path().join("words"));
    std::fs::create_dir_all(&dir).unwrap();
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >{words:?}\n/bin/cat <<'END'\n{says}\nEND\nexit {exit_code}\n"
    );
    std::fs::write(dir.join("aws"), script).unwrap();
    std::fs::set_permissions(dir.join("aws"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let path = dir.display().to_string();
    estate.with("PATH", &path)
}

#[tokio::test(flavor = "multi_thread")]
async fn gc_asks_ec2_and_removes_only_what_has_been_terminated_for_long() {
    let estate = estate()
        .await
        .on_a_laptop()
        .lease(1, HELD)
        .lease(6, HELD)
        .lease(7, HELD)
        .lease(8, HELD)
        .lease(9, HELD);
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S");
    let answer = format!(
        r#"[["{}", "running", ""], ["{}", "terminated", "User initiated (2026-01-02 03:04:05 GMT)"],
            ["{}", "terminated", "User initiated ({now} GMT)"], ["{}", "stopped", "User initiated (2026-01-02 03:04:05 GMT)"]]"#,
        NODE,
        node(6),
        node(7),
        node(8)
    );
    let estate = with_aws_cli_saying(estate, 0, &answer);
    estate.agent(&["lease", "gc", "--ask-ec2"]).await.says(
        0,
        &[
            "web: removed node-agent/lease/i-0a000000000000006 (held)",
            "kept: i-0a000000000000001 is running",
            "kept: i-0a000000000000007 is terminated, possibly too recently",
            "kept: i-0a000000000000008 is stopped",
            "kept: EC2 does not list i-0a000000000000009",
            "`node-agent lease gc i-0a000000000000009`",
        ],
    );
    assert_eq!(estate.lease_of(6), None);
    assert!([1, 7, 8, 9].into_iter().all(|number| estate.lease_of(number).is_some()));
    let words = std::fs::read_to_string(estate.dir.path().join("words")).unwrap();
    assert!(words.starts_with("ec2\ndescribe-instances\n--region\nus-east-1\n--filters\n"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gc_that_cannot_ask_ec2_changes_nothing_and_says_why() {
    let estate = estate().await.on_a_laptop().lease(9, HELD).with("PATH", "/nowhere");
    estate.agent(&["lease", "gc", "--ask-ec2"]).await.says(75, &["failed to run `aws`", "to ask by hand"]);
    let estate = with_aws_cli_saying(estate, 254, "");
    estate.agent(&["lease", "gc", "--ask-ec2"]).await.says(75, &["failed to ask EC2", "254"]);
    let estate = with_aws_cli_saying(estate, 0, "{\"Reservations\": []}");
    estate.agent(&["lease", "gc", "--ask-ec2"]).await.says(75, &["failed to read the output of `aws"]);
    assert!(estate.lease_of(9).is_some());
    estate.agent(&["lease", "gc", "--ask-ec2", NODE]).await.says(2, &["cannot be used with"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_everybody_until_it_is_lifted() {
    let estate = estate().await.on_a_laptop().with("NODE_AGENT_INSTANCE_ID", NODE);
    estate.agent(&["pause", "release", "day!"]).await.says(0, &["web: paused: release day"]);
    assert_eq!(estate.alb.tags(&estate.arn)["node-agent/paused"], "release day");
    estate.agent(&["pause", "release day"]).await.says(0, &["already paused"]);
    estate.agent(&["maintain", "--", "true"]).await.says(75, &["maintenance is paused: release day"]);
    estate.agent(&["unpause"]).await.says(0, &["no longer paused (was: release day)"]);
    estate.agent(&["unpause"]).await.says(0, &["nothing to do"]);
    estate.agent(&["maintain", "--", "true"]).await.says(0, &["succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_without_a_reason_is_refused() {
    let estate = estate().await.on_a_laptop();
    estate.agent(&["pause", "?!"]).await.says(2, &["the reason is empty"]);
    estate.agent(&["pause"]).await.says(2, &["REASON"]);
    estate.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_name_all_managed_groups_are_meant() {
    let estate = estate().await.on_a_laptop().configured_instead("target_groups = [\"web\"]", "");
    estate.agent(&["pause", "x"]).await.says(2, &["node-agent/managed=true", "--target-group"]);
    let other = estate.alb.create_target_group(estate::quick_group("other", Vec::new())).unwrap();
    for arn in [&estate.arn, &other] {
        estate.alb.set_tag(arn, "node-agent/managed", "true");
    }
    estate.agent(&["pause", "x"]).await.says(0, &["web: paused: x", "other: paused: x"]);
    estate.agent(&["--target-group", "web", "unpause"]).await.says(0, &["web: no longer paused"]);
    assert!(estate.alb.tags(&other).contains_key("node-agent/paused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_is_sat_through_and_an_outage_is_named() {
    let estate = estate().await.on_a_laptop();
    estate.alb.script("AddTags", Fault::Throttled, 2);
    estate.alb.script("DescribeTags", Fault::ServerError, 1);
    estate.agent(&["pause", "x"]).await.says(0, &["web: paused: x", "retrying"]);
    let away = estate.with("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", "http://127.0.0.1:9");
    away.agent(&["unpause"]).await.says(75, &["failed to call DescribeTargetGroups", "check the network"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_from_a_laptop_tells_who_holds_who_waits_and_what_blocks() {
    let recent = jiff::Timestamp::now() - Duration::from_secs(200);
    let held = format!("v1 p=held e=1 k=1 op=patch at={}", recent.strftime("%Y-%m-%dT%H:%M:%SZ"));
    let estate = estate().await.on_a_laptop().lease(1, &held).lease(2, "v1 p=waiting e=1 t=7 s=0");
    let estate = estate.lease(9, "v1 p=waiting e=1 t=3 s=0");
    estate.alb.set_tag(&estate.arn, "node-agent/max-unavailable", "2");
    let run = estate.agent(&["status"]).await;
    run.says(
        0,
        &[
            "group     web: 3 of 3 instances healthy, at most 2 out (K), effective limit 1 until the current holders release",
            "i-0a000000000000001  held",
            "(3 min ago)",
            "i-0a000000000000002  waiting     2",
            "blocks    i-0a000000000000001 is held since",
            "-> wait for it",
            "note      i-0a000000000000009 is waiting and no longer registered",
            "lease gc i-0a000000000000009",
        ],
    );
    assert!(!run.out.contains("node      "), "{run:#?}");

    let run = estate.agent(&["status", "--json"]).await;
    let status: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(status["instance_id"], serde_json::Value::Null);
    let group = &status["groups"][0];
    assert_eq!((&group["max_unavailable"], &group["slots"]), (&2.into(), &1.into()));
    let leases = group["leases"].as_array().unwrap();
    let told: Vec<_> =
        leases.iter().map(|lease| (lease["state"].as_str().unwrap(), &lease["place"])).collect();
    assert_eq!(told, [("held", &serde_json::Value::Null), ("waiting", &1.into()), ("waiting", &2.into())]);
    assert_eq!(group["blocks"][0]["advice"], "wait for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_names_the_pause_the_failures_and_their_way_out() {
    let estate = estate().await.on_a_laptop().lease(1, "v1 p=failed e=1");
    estate.agent(&["status"]).await.says(0, &["i-0a000000000000001 is failed", "lease clear"]);
    estate.agent(&["pause", "release day"]).await.says(0, &[]);
    estate.agent(&["status"]).await.says(0, &["paused    release day", "-> run `node-agent unpause`"]);
    estate.agent(&["unpause"]).await.says(0, &[]);
    estate.agent(&["lease", "clear", NODE]).await.says(0, &[]);
    estate.agent(&["status"]).await.says(0, &["leases    none", "blocks    nothing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_can_tell_nothing_says_so() {
    let estate = estate().await.on_a_laptop().with("NODE_AGENT_TARGET_GROUPS", "wbe");
    estate.agent(&["status"]).await.says(2, &["problem   failed to call DescribeTargetGroups"]);
}
