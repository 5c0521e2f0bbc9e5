//! `status`, `check` and `rejoin` where they cannot read everything, or know the node by another name.

use crate::estate::{Estate, NODE, Run, estate, quick_group};
use rustix::process::geteuid;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use tokio::process::Command;

/// Runs the program as a user who may not read the record.
async fn as_nobody(estate: &Estate, args: &[&str]) -> Run {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
    command.arg(env!("CARGO_BIN_EXE_rehearsal")).arg("node-agent").args(args);
    command.env_clear().env("PATH", "/usr/bin:/bin").envs(&estate.environment).stdin(Stdio::null());
    let output = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_user_is_told_to_be_root_and_not_that_there_is_no_maintenance() {
    let estate = estate().await;
    estate.agent(&["drain"]).await.says(0, &["drained"]);
    let state_dir = estate.record().parent().unwrap().to_owned();
    let denied = "permission denied (os error 13); only root may do this: run it as root, such as with sudo";
    if !geteuid().is_root() {
        // Nobody else can be tried, but a directory can be closed to its owner.
        std::fs::set_permissions(&state_dir, PermissionsExt::from_mode(0o000)).unwrap();
    }
    let open = |path: &std::path::Path| std::fs::set_permissions(path, PermissionsExt::from_mode(0o755));
    open(estate.dir.path()).unwrap();
    for (verb, code) in [("status", 0), ("check", 1), ("rejoin", 2), ("drain", 2), ("idle", 1)] {
        let run = match geteuid().is_root() {
            true => as_nobody(&estate, &[verb]).await,
            false => estate.agent(&[verb]).await,
        };
        let lower = Run { out: run.out.to_lowercase(), err: run.err.to_lowercase(), ..run };
        lower.says(code, &[denied]);
        assert!(
            !lower.out.contains("no maintenance") && !lower.err.contains("repair the disk"),
            "{lower:#?}"
        );
        if verb == "status" {
            assert!(lower.out.contains("the record of this node could not be read"), "{lower:#?}");
            assert!(lower.out.starts_with("problem   failed to read the record"), "{lower:#?}");
            lower.says(code, &[&format!("node      {NODE}"), "phase     unknown"]);
        }
    }
    std::fs::set_permissions(&state_dir, PermissionsExt::from_mode(0o700)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_group_of_type_ip_status_shows_the_targets_of_its_own_node() {
    let estate = estate().await.configured_instead("[\"web\"]", "[\"by-ip\"]");
    let mut group = quick_group("by-ip", vec![("127.0.0.1".into(), estate.port), ("127.0.0.2".into(), 9)]);
    group.target_type = "ip".to_owned();
    estate.alb.create_target_group(group).unwrap();
    let target = format!("target    127.0.0.1:{} ", estate.port);
    estate.agent(&["status"]).await.says(0, &[&format!("node      {NODE}"), &target]);
}
