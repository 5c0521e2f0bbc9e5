//! Every cell of the table of exit codes is seen: each verb ends with each of its codes, and with no other.

use crate::estate::{Estate, estate, falls_sick, lease_key, node, quick_group, until};
use local_alb::Fault;
use node_agent::exit::TABLE;
use node_agent::record::{CommandState, journal};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

const HELD: &str = "v1 p=held e=abc t=0 s=0 k=1 op=patch at=2026-01-02T03:04:05Z";
const DOWN: &str = "http://127.0.0.1:9";
const API: &str = "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2";

/// Verbs, each with a code that it ended with.
#[derive(Default)]
struct Seen(BTreeSet<(String, u8)>);

impl Seen {
    /// Runs a verb, and notes its code.
    async fn ends(&mut self, estate: &Estate, args: &[&str], code: u8, parts: &[&str]) {
        estate.agent(args).await.says(code.into(), parts);
        self.note(args, code);
    }

    fn note(&mut self, args: &[&str], code: u8) {
        let mut words = args.iter().copied().skip_while(|word| word.starts_with("--"));
        let first = words.next().unwrap();
        let verb = if first == "lease" { format!("lease {}", words.next().unwrap()) } else { first.into() };
        self.0.insert((verb, code));
    }
}

fn begun(estate: &Estate, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rehearsal"));
    command.arg("node-agent").args(args).env_clear().envs(&estate.environment);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.kill_on_drop(true).spawn().unwrap()
}

/// A maintenance killed in its command, or while it waits for another node.
async fn killed(out: bool) -> Estate {
    let estate = estate().await;
    let estate = if out { estate } else { estate.lease(2, HELD) };
    let mut run = begun(&estate, &["maintain", "--", "sleep", "60"]);
    // Killed with an unanswered call on record, it would have to wait until that can no longer take effect.
    let state_dir = estate.record().parent().unwrap().to_owned();
    until(|| {
        let operation = journal::read(&state_dir).unwrap().and_then(|record| record.operation);
        operation.is_some_and(|operation| match out {
            true => operation.command == CommandState::Running,
            false => operation.groups.iter().all(|group| group.tags_in_doubt.is_empty()),
        })
    })
    .await;
    run.kill().await.unwrap();
    estate
}

async fn verbs_of_the_node() -> Seen {
    let mut seen = Seen::default();
    let estate = estate().await;
    seen.ends(&estate, &["maintain", "--", "true"], 0, &["succeeded"]).await;
    seen.ends(&estate, &["maintain", "--", "false"], 1, &["the node is back in service"]).await;
    seen.ends(&estate, &["drain"], 0, &["out of service until"]).await;
    seen.ends(&estate, &["idle"], 1, &["is in phase drained"]).await;
    for verb in ["resume", "rejoin"] {
        seen.ends(&estate, &["--instance-id=i-0b000000000000009", "rejoin"], 2, &["does not confirm"]).await;
        seen.ends(&estate, &[verb], 0, &[]).await;
    }
    seen.ends(&estate, &["idle"], 0, &[]).await;
    for verb in [["maintain", "--reboot"].as_slice(), &["drain"]] {
        let wrong = [&["--target-group=wbe"], verb].concat();
        seen.ends(&estate, &wrong, 2, &["TargetGroupNotFound"]).await;
    }
    let estate = estate.with("SSM_COMMAND_ID", "11111111-2222-3333-4444-555555555555");
    seen.ends(&estate, &["maintain", "--reboot"], 194, &["exit code 194"]).await;
    seen.ends(&estate, &["--instance-id=i-0b000000000000009", "resume"], 2, &["does not confirm"]).await;

    let slow = crate::estate::estate().await.configured_instead("\"500ms\"", "\"60s\"");
    let mut drain = begun(&slow, &["drain"]);
    until(|| slow.alb.instances_out(&slow.arn) == 1).await;
    seen.ends(&slow, &["rejoin"], 0, &["rejoin requested before the node had drained"]).await;
    assert_eq!(drain.wait().await.unwrap().code(), Some(1));
    seen.note(&["drain"], 1);

    let down = slow.with(API, DOWN);
    for verb in [["maintain", "--reboot"].as_slice(), &["drain"]] {
        let hasty = [&["--lease-wait=1s"], verb].concat();
        seen.ends(&down, &hasty, 75, &["nothing changed"]).await;
    }
    seen.ends(&down, &["status"], 75, &["Connection refused"]).await;
    seen
}

async fn interrupted() -> Seen {
    let mut seen = Seen::default();
    for verb in ["resume", "rejoin"] {
        seen.ends(&killed(true).await, &[verb], 1, &["the node is back in service"]).await;
        seen.ends(&killed(false).await, &[verb], 75, &["nothing changed"]).await;
    }
    let (url, _) = falls_sick().await;
    let sick = estate().await.configured(&format!("health_limit = \"500ms\"\nhealth_url = {url:?}"));
    for verb in [["maintain", "--", "true"].as_slice(), &["drain"], &["resume"], &["rejoin"]] {
        seen.ends(&sick, verb, 3, &["halted", "node-agent resume"]).await;
    }
    seen
}

async fn questions() -> Seen {
    let mut seen = Seen::default();
    let estate = estate().await;
    seen.ends(&estate, &["check", "--start"], 0, &["yes"]).await;
    seen.ends(&estate, &["check"], 1, &["no"]).await;
    seen.ends(&estate, &["--health-url=localhost", "check"], 2, &["health_url is not a URL"]).await;
    seen.ends(&estate, &["status"], 0, &["group     web"]).await;
    seen.ends(&estate, &["--target-group=wbe", "status"], 2, &["TargetGroupNotFound"]).await;
    seen.ends(&estate, &["shutdown-guard"], 0, &["the machine is not going down"]).await;
    let systemctl = estate.dir.path().join("systemctl");
    let script = "#!/bin/sh\ncase $1 in is-system-running) echo stopping;; *) echo 1 reboot.target start waiting;; esac\n";
    std::fs::write(&systemctl, script).unwrap();
    std::fs::set_permissions(&systemctl, PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", estate.dir.path().display());
    let alone = estate.with("PATH", &path).with("AWS_EC2_METADATA_DISABLED", "true");
    seen.ends(&alone, &["shutdown-guard"], 1, &["failed to get the instance id"]).await;
    seen
}

/// Two groups, with leases in both.
async fn two_groups() -> Estate {
    let estate = estate().await.on_a_laptop().with("NODE_AGENT_TARGET_GROUPS", "web,api");
    let api = estate.alb.create_target_group(quick_group("api", Vec::new())).unwrap();
    for arn in [&estate.arn, &api] {
        estate.alb.set_tag(arn, &lease_key(2), "v1 p=failed e=1");
        estate.alb.set_tag(arn, &lease_key(8), HELD);
    }
    estate
}

async fn operator(write: &'static str, args: Vec<String>) -> Seen {
    let (mut seen, estate) = (Seen::default(), two_groups().await);
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    if args == ["unpause"] {
        estate.agent(&["pause", "release"]).await.says(0, &["web: paused", "api: paused"]);
    }
    // One of two groups refuses; the other is served.
    estate.alb.script(write, Fault::AccessDenied, 1);
    seen.ends(&estate, &args, 1, &["AccessDenied", "failed to "]).await;
    seen.ends(&estate, &args, 0, &[]).await;
    let wrong = [&["--target-group=wbe"], args.as_slice()].concat();
    seen.ends(&estate, &wrong, 2, &["TargetGroupNotFound"]).await;
    seen.ends(&estate.with(API, DOWN), &args, 75, &["Connection refused"]).await;
    seen
}

async fn operators() -> Seen {
    let mut running = JoinSet::new();
    for (write, line) in [
        ("AddTags", format!("lease break {}", node(8))),
        ("RemoveTags", format!("lease clear {}", node(2))),
        ("RemoveTags", format!("lease gc {}", node(8))),
        ("AddTags", "pause release".to_owned()),
        ("RemoveTags", "unpause".to_owned()),
    ] {
        running.spawn(operator(write, line.split(' ').map(str::to_owned).collect()));
    }
    Seen(running.join_all().await.into_iter().flat_map(|seen| seen.0).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_verb_ends_with_each_of_its_codes_and_with_no_other() {
    let (node, interrupted, questions, operators) =
        tokio::join!(verbs_of_the_node(), interrupted(), questions(), operators());
    let seen: BTreeSet<_> =
        [node, interrupted, questions, operators].into_iter().flat_map(|seen| seen.0).collect();
    let rows = TABLE.iter().flat_map(|row| row.verbs.iter().map(|verb| ((*verb).to_owned(), row.code)));
    assert_eq!(seen, rows.collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_that_says_no_ends_as_the_maintenance_would() {
    let estate = estate().await;
    let dry = ["maintain", "--dry-run", "--reboot"];
    estate
        .agent(&[&["--target-group", "wbe"], dry.as_slice()].concat())
        .await
        .says(2, &["no", "TargetGroupNotFound"]);
    estate.alb.set_tag(&estate.arn, "node-agent/paused", "release");
    estate.agent(&dry).await.says(75, &["no", "maintenance is paused: release"]);
    estate.alb.set_tag(&estate.arn, "node-agent/max-unavailable", "some");
    estate.agent(&dry).await.says(2, &["node-agent/max-unavailable is \"some\""]);
    let down = estate.with(API, DOWN);
    down.agent(&dry).await.says(75, &["cannot tell", "Connection refused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halted_node_that_was_repaired_has_succeeded() {
    let (url, cure) = falls_sick().await;
    let estate = estate().await.configured(&format!("health_limit = \"2s\"\nhealth_url = {url:?}"));
    estate.agent(&["maintain", "--", "true"]).await.says(3, &["halted"]);
    cure.store(true, Ordering::Relaxed);
    estate.agent(&["resume"]).await.says(0, &["succeeded"]);
    let status = estate.agent(&["status"]).await;
    status.says(0, &["last      succeeded"]);
    assert!(!status.out.contains("repair the service"), "{status:#?}");
    assert_eq!(estate.lease_of(1), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_groups_were_all_deleted_is_not_said_to_be_back() {
    let estate = estate().await;
    estate.agent(&["drain"]).await.says(0, &[]);
    estate.alb.delete_target_group(&estate.arn);
    let run = estate.agent(&["rejoin"]).await;
    run.says(1, &["not back in service: all target groups of the node were deleted", "register this node"]);
    assert!(!run.out.contains("is back in service"), "{run:#?}");
}
