//! The driver that cannot go on: it tells people, answers those who ask, and stays.

use crate::estate::{NODE, until};
use crate::machine::{Machine, machine_with};
use node_agent::record::journal;
use std::time::Duration;
use tokio::time::Instant;

/// The boot is played, and what has passed since then is told by the clock of this machine.
const LONG: &str = "drained_limit = \"8760h\"";

async fn machine() -> Machine {
    machine_with(|estate| {
        let told = estate.dir.path().join("told");
        estate.configured(LONG).configured(&format!("notify_command = [\"tee\", \"-a\", {told:?}]"))
    })
    .await
}

fn told(machine: &Machine) -> String {
    std::fs::read_to_string(machine.file("told")).unwrap_or_default()
}

async fn is_stuck(machine: &Machine, reason: &str) {
    until(|| told(machine).contains("\"event\":\"stuck\"")).await;
    assert!(told(machine).contains(reason), "{}", told(machine));
    until(|| machine.log().contains("trying again in 60 s")).await;
    assert!(journal::is_driven(&machine.file("state")), "nobody else may drive");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_is_told_and_its_driver_stays() {
    let machine = machine().await;
    std::fs::create_dir(machine.file("state")).unwrap();
    std::fs::write(machine.file("state/record.json"), "{\"version\": 2, \"inst").unwrap();
    machine.start_unit().await;
    is_stuck(&machine, "failed to read the record").await;
    machine
        .agent(&["maintain", "--", "true"])
        .await
        .says(3, &["failed to read the record", "nothing was done"]);
    assert_eq!(told(&machine).matches("stuck").count(), 1, "told once, not at each attempt");
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_that_are_lost_with_the_record_are_told_and_a_request_is_answered_at_once() {
    let machine = machine().await;
    machine.agent(&["drain"]).await.says(0, &["drained"]);
    std::fs::remove_file(machine.file("state/record.json")).unwrap();
    machine.reboot().await;
    is_stuck(&machine, "its ports are unknown").await;
    machine.agent(&["maintain", "--", "true"]).await.says(3, &["its ports are unknown", "register-targets"]);
    assert_eq!(machine.estate.alb.instances_out(&machine.estate.arn), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_metadata_service_after_a_boot_people_are_told() {
    let mut machine = machine().await;
    machine.agent(&["drain"]).await.says(0, &["drained"]);
    machine.set("AWS_EC2_METADATA_DISABLED", "true".to_owned());
    std::fs::remove_file(machine.file("state/record.json")).unwrap();
    machine.reboot().await;
    is_stuck(&machine, "failed to get the instance id").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_whoever_follows_the_driver_is_answered_at_once() {
    // The one that is told has another disk.
    let machine = machine_with(|estate| {
        let told = estate.dir.path().join("told");
        let line = format!("ulimit -S -f unlimited; cat >>{}", told.display());
        estate.configured(LONG).configured(&format!("notify_command = [\"sh\", \"-c\", {line:?}]"))
    })
    .await;
    machine.agent(&["drain"]).await.says(0, &["drained"]);
    std::fs::write(machine.file("full"), "").unwrap();
    machine.reboot().await;
    let asked = Instant::now();
    machine.agent(&["rejoin"]).await.says(3, &["the disk is full or damaged"]);
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    assert!(told(&machine).contains("failed to write the record"), "{}", told(&machine));
    assert!(told(&machine).contains("\"event\":\"stuck\""), "{}", told(&machine));
    assert_eq!(machine.estate.alb.instances_out(&machine.estate.arn), 1);
    assert!(journal::is_driven(&machine.file("state")), "nobody else may drive");
    // Somebody makes room, and the next driver goes on.
    std::fs::remove_file(machine.file("full")).unwrap();
    machine.reboot().await;
    machine.agent(&["rejoin"]).await.says(0, &["succeeded"]);
    machine.assert_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn once_the_record_is_repaired_the_driver_goes_on_by_itself() {
    let machine = machine().await;
    machine.agent(&["drain"]).await.says(0, &["drained"]);
    let record = machine.file("state/record.json");
    let whole = std::fs::read(&record).unwrap();
    std::fs::write(&record, &whole[..whole.len() / 2]).unwrap();
    machine.reboot().await;
    is_stuck(&machine, "failed to read the record").await;
    std::fs::write(&record, whole).unwrap();
    // It tries again every minute.
    machine.until(|| machine.log().matches("drained: waiting for a request to continue").count() == 2).await;
    machine.agent(&["rejoin"]).await.says(0, &["succeeded"]);
    machine.assert_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_or_certificates_after_a_boot_people_are_told() {
    for (name, value, endpoint, reason) in [
        ("AWS_ACCESS_KEY_ID", "", "http://127.0.0.1:9", "failed to get AWS credentials"),
        ("SSL_CERT_FILE", "/dev/null", "https://127.0.0.1:9", "this machine has no CA certificates"),
    ] {
        let mut machine = machine().await;
        machine.agent(&["drain"]).await.says(0, &["drained"]);
        // Who it is, it is told; and nothing else.
        machine.set("NODE_AGENT_INSTANCE_ID", NODE.to_owned());
        machine.set("AWS_REGION", "us-east-1".to_owned());
        machine.set("SSL_CERT_DIR", "/nonexistent".to_owned());
        machine.set("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", endpoint.to_owned());
        match value {
            "" => machine.set("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            value => machine.set(name, value.to_owned()),
        }
        std::fs::remove_file(machine.file("state/record.json")).unwrap();
        machine.reboot().await;
        is_stuck(&machine, reason).await;
        assert_eq!(machine.estate.alb.instances_out(&machine.estate.arn), 1);
        assert!(machine.estate.lease_of(1).is_some(), "the lease is kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_configuration_that_cannot_be_used_ends_the_unit() {
    let machine = machine().await;
    let config = machine.file("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}drain_flor = \"9s\"\n")).unwrap();
    machine
        .agent(&["resume", "--stay"])
        .await
        .says(78, &["failed to parse the configuration", "unknown field `drain_flor`"]);
    machine.estate.is_untouched();
}
