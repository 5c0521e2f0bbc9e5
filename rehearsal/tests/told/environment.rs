//! Words in the environment: switches as people write them, empty variables, and mistyped ones, none of which keeps a node
//! out of service.

use crate::estate::{Estate, estate};

/// A node whose own check fails, so that only `repair` lets it leave.
async fn sick() -> Estate {
    estate().await.configured("service_address = \"127.0.0.9\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_takes_what_people_write() {
    for word in ["1", "yes", "true", "on", "TRUE", "Yes"] {
        sick().await.with("NODE_AGENT_REPAIR", word).agent(&["check", "--start"]).await.says(0, &["yes"]);
    }
    for word in ["0", "no", "false", "off", ""] {
        sick().await.with("NODE_AGENT_REPAIR", word).agent(&["check", "--start"]).await.says(1, &["no"]);
    }
    let flag = sick().await;
    flag.agent(&["--repair", "check", "--start"]).await.says(0, &["yes"]);
    flag.agent(&["--repair=no", "check", "--start"]).await.says(1, &["no"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_turns_off_what_the_file_turns_on_and_an_empty_one_says_nothing() {
    let on = sick().await.configured("repair = true");
    on.agent(&["check", "--start"]).await.says(0, &["yes"]);
    let on = on.with("NODE_AGENT_REPAIR", "").with("NODE_AGENT_LEASE_WAIT", "").with("NODE_AGENT_ASG", "");
    on.agent(&["check", "--start"]).await.says(0, &["yes"]);
    let off = on.with("NODE_AGENT_REPAIR", "no");
    off.agent(&["check", "--start"]).await.says(1, &["service_address"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_variable_starts_nothing_and_keeps_no_node_out() {
    for (name, value) in [("NODE_AGENT_ALLOW_EMPTY", "perhaps"), ("NODE_AGENT_LEASE_WAIT", "a while")] {
        let idle = estate().await.with(name, value);
        for verb in [["maintain", "--", "true"].as_slice(), &["drain"], &["check"]] {
            idle.agent(verb).await.says(2, &["failed to parse", name, value]);
        }
        // The unit, with nothing on record: systemd does not start it again.
        let advice = "correct it where the unit or the shell gets its environment";
        idle.agent(&["resume", "--stay"]).await.says(78, &[name, value, advice]);
        idle.is_untouched();
    }
    let out = estate().await;
    out.agent(&["drain"]).await.says(0, &["drained"]);
    let out = out.with("NODE_AGENT_ALLOW_EMPTY", "perhaps").with("NODE_AGENT_LOG_FORMAT", "jsno");
    out.agent(&["status"]).await.says(0, &["phase", "drained"]);
    let back = out.agent(&["rejoin"]).await;
    back.says(
        0,
        &["succeeded", "failed to parse", "NODE_AGENT_ALLOW_EMPTY=perhaps", "NODE_AGENT_LOG_FORMAT=jsno"],
    );
    assert_eq!(out.alb.instances_out(&out.arn), 0);
}
