//! `check`: it answers in time when nobody answers it, with the metadata service and the API silent, slow or gone; and it
//! changes nothing, whatever it finds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod estate;

use estate::{Estate, Run, estate, lease_key, quick_group};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

const METADATA: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const API: &str = "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2";

/// The promise is 5 s. The rest is the start of a process on a machine that has other things to do.
const IN_TIME: Duration = Duration::from_secs(8);

/// How somebody does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Away {
    /// Takes the connection and says nothing.
    Silent,
    /// Begins a good answer and never ends it.
    Slow,
    /// Nobody listens.
    Refused,
}

/// The URL of somebody who does not answer.
async fn away(how: Away) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    if how != Away::Refused {
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(keep_waiting(stream, how));
            }
        });
    }
    url
}

async fn keep_waiting(mut stream: TcpStream, how: Away) -> std::io::Result<()> {
    if how == Away::Slow {
        let head =
            "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\nx-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n";
        stream.read_buf(&mut Vec::new()).await?;
        stream.write_all(head.as_bytes()).await?;
        loop {
            stream.write_all(b"x").await?;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    // Until the other side has had enough.
    while stream.read_buf(&mut Vec::new()).await? > 0 {}
    Ok(())
}

async fn asked(estate: &Estate, args: &[&str]) -> Run {
    let began = Instant::now();
    let run = estate.agent(args).await;
    assert!(began.elapsed() < IN_TIME, "{:?} for {run:#?}", began.elapsed());
    run
}

async fn cannot_tell(estate: Estate) {
    let questions = [["check"].as_slice(), &["check", "--start"], &["check", "--json"]];
    let [go_down, start, json] = questions.map(|args| asked(&estate, args));
    let (go_down, start, json) = tokio::join!(go_down, start, json);
    go_down.says(1, &["no\n", "cannot tell"]);
    start.says(1, &["no\n", "cannot tell"]);
    let answer: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json.code, &answer["answer"]), (Some(1), &"no".into()));
    assert!(answer["reasons"][0].as_str().unwrap().contains("cannot tell"), "{answer}");
    estate.is_untouched();
    assert!(!estate.record().parent().unwrap().exists());
}

const WAYS: [Away; 3] = [Away::Silent, Away::Slow, Away::Refused];

#[tokio::test(flavor = "multi_thread")]
async fn check_answers_in_time_when_neither_the_metadata_service_nor_the_api_does() {
    for how in WAYS {
        cannot_tell(estate().await.with(METADATA, &away(how).await).with(API, &away(how).await)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_answers_in_time_when_the_api_does_not() {
    for how in WAYS {
        cannot_tell(estate().await.with(API, &away(how).await)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_answers_in_time_when_only_the_metadata_service_does_not() {
    for how in WAYS {
        // The region is known, so that it is the credentials that are waited for.
        cannot_tell(estate().await.with(METADATA, &away(how).await).with("AWS_REGION", "us-east-1")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn maintain_gives_up_on_a_slow_metadata_service() {
    let estate = estate().await.with(METADATA, &away(Away::Slow).await);
    let began = Instant::now();
    estate.agent(&["maintain", "--reboot"]).await.says(2, &["failed to find the AWS region"]);
    estate
        .with("AWS_REGION", "us-east-1")
        .agent(&["maintain", "--reboot"])
        .await
        .says(2, &["failed to get AWS credentials"]);
    // Each time one question, for 5 s.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

/// Every file below a directory, with what is in it.
fn files(dir: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), std::fs::read(path).unwrap());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn check_changes_nothing_in_service_and_nothing_out_of_it() {
    let estate = estate().await;
    asked(&estate, &["check"]).await.says(1, &["is healthy in web: requests would be lost"]);
    asked(&estate, &["check", "--start"]).await.says(0, &["yes"]);
    estate.is_untouched();
    assert!(!estate.record().parent().unwrap().exists(), "not even the directory of the record");

    estate.agent(&["drain"]).await.says(0, &["drained"]);
    let seen =
        || (files(estate.dir.path()), estate.alb.tags(&estate.arn), estate.alb.instances_out(&estate.arn));
    let (before, calls) = (seen(), estate.alb.calls().len());
    asked(&estate, &["check"]).await.says(0, &["yes", "phase     drained"]);
    asked(&estate, &["check", "--start"]).await.says(1, &["a maintenance is already in phase drained"]);
    assert_eq!(seen(), before);
    let since: Vec<_> = estate.alb.calls().into_iter().skip(calls).map(|call| call.action).collect();
    assert!(!since.is_empty() && since.iter().all(|action| action.starts_with("Describe")), "{since:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_start_says_what_maintain_would_wait_for_or_be_refused_for() {
    let estate = estate().await;
    for (key, value, part) in [
        (lease_key(2), "v1 p=held e=1 k=1", "all slots are taken by i-0a000000000000002 (held)"),
        (lease_key(2), "v1 p=failed e=1", "1 node failed maintenance"),
        ("node-agent/paused".to_owned(), "release day", "maintenance is paused: release day"),
        ("node-agent/max-unavailable".to_owned(), "some", "node-agent/max-unavailable is \"some\""),
        ("node-agent/min-healthy".to_owned(), "3", "3 are required"),
    ] {
        estate.alb.set_tag(&estate.arn, &key, value);
        asked(&estate, &["check", "--start"]).await.says(1, &["no\n", part]);
        estate.alb.remove_tag(&estate.arn, &key);
    }
    asked(&estate, &["check", "--start"]).await.says(0, &["yes"]);
    estate.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn check_sees_the_group_that_the_node_is_in_whatever_else_is_named() {
    let named = "target_groups = [\"web\"]";
    let estate = estate().await.configured_instead(named, "target_groups = [\"web\", \"other\"]");
    asked(&estate, &["check"]).await.says(1, &["cannot tell", "TargetGroupNotFound"]);
    estate.alb.create_target_group(quick_group("other", Vec::new())).unwrap();
    asked(&estate, &["check"]).await.says(1, &["is healthy in web: requests would be lost"]);
    estate.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_yes_to_the_idle_colour_of_a_blue_green_pair() {
    let estate = estate().await;
    estate.alb.set_in_use(&estate.arn, false);
    asked(&estate, &["check"]).await.says(0, &["yes", "is unused (Target.NotInUse)"]);
    asked(&estate, &["check", "--start"]).await.says(0, &["yes"]);
    estate.agent(&["status"]).await.says(0, &["no load balancer uses this group"]);
    assert!(estate.alb.tags(&estate.arn).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn check_answers_in_time_among_1200_target_groups_of_a_throttled_account() {
    let estate = estate().await.configured_instead("target_groups = [\"web\"]", "target_groups = []");
    estate.alb.set_tag(&estate.arn, "node-agent/managed", "true");
    for number in 0..1200 {
        estate.alb.create_target_group(quick_group(&format!("other-{number:04}"), Vec::new())).unwrap();
    }
    let describe = local_alb::Bucket { burst: 40.0, per_second: 10.0 };
    let narrow = local_alb::Buckets { describe, ..local_alb::Buckets::default() };
    for throttle in [None, Some(narrow)] {
        estate.alb.change_faults(|faults| {
            faults.latency = Duration::from_millis(100);
            faults.throttle = throttle;
        });
        asked(&estate, &["check"]).await.says(1, &["is healthy in web: requests would be lost"]);
    }
    // A bucket that is always empty is named.
    let empty = local_alb::Bucket { burst: 0.0, per_second: 0.0 };
    let throttle = Some(local_alb::Buckets { describe: empty, ..local_alb::Buckets::default() });
    estate.alb.change_faults(|faults| faults.throttle = throttle);
    asked(&estate, &["check"]).await.says(1, &["cannot tell", "the API is throttling this account"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_cannot_tell_about_a_node_without_a_target() {
    let estate = estate().await;
    estate.alb.create_target_group(quick_group("other", Vec::new())).unwrap();
    let estate = estate.configured_instead("target_groups = [\"web\"]", "target_groups = [\"other\"]");
    asked(&estate, &["check"]).await.says(1, &["no\n", "cannot tell: no target in other is this node"]);
    let estate = estate.configured_instead("target_groups = [\"other\"]", "target_groups = []");
    asked(&estate, &["check"]).await.says(1, &["no\n", "cannot tell", "node-agent/managed=true"]);
    // A slip of the pen is named, and does not count.
    estate.alb.set_tag(&estate.arn, "node-agent/managed", "True");
    asked(&estate, &["check"]).await.says(1, &["no\n", "cannot tell", "node-agent/managed=True", "`true`"]);
    asked(&estate, &["check", "--start"]).await.says(1, &["node-agent/managed=True"]);
    estate.alb.set_tag(&estate.arn, "node-agent/managed", "true");
    asked(&estate, &["check"]).await.says(1, &["is healthy in web: requests would be lost"]);
    estate.agent(&["drain"]).await.says(0, &["drained"]);
    asked(&estate, &["check"]).await.says(0, &["yes"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_node_may_go_down_when_its_target_group_is_deleted() {
    let estate = estate().await;
    estate.agent(&["drain"]).await.says(0, &["drained"]);
    estate.alb.delete_target_group(&estate.arn);
    asked(&estate, &["check"]).await.says(0, &["yes", "phase     drained"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_in_service_whose_named_target_group_is_deleted_cannot_tell() {
    let estate = estate().await;
    estate.alb.delete_target_group(&estate.arn);
    asked(&estate, &["check"]).await.says(1, &["cannot tell", "TargetGroupNotFound"]);
}
