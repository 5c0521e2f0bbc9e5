//! The AWS CLI against the API, where it is installed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::process::Stdio;

use support::{alb, group, instance, serve};
use tokio::process::Command;

#[tokio::test]
async fn the_cli_describes_target_health() {
    let alb = alb();
    alb.add_instance(instance("i-0a000001"));
    let arn = alb.create_target_group(group("demo", &[("i-0a000001", 8080)])).unwrap();
    let endpoint = format!("http://127.0.0.1:{}", serve(alb.aws().elastic_load_balancing()).await);
    let cli = Command::new("aws")
        .args(["elbv2", "describe-target-health", "--target-group-arn", &arn, "--output", "text"])
        .args(["--query", "TargetHealthDescriptions[].[Target.Id,Target.Port]"])
        .env("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", endpoint)
        // The first version of the CLI reads only the older name.
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .output()
        .await;
    let output = match cli {
        Ok(output) if output.status.code() != Some(127) => output,
        _ => return eprintln!("skipped: the AWS CLI is not installed"),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.trim(), "i-0a000001\t8080");
}
