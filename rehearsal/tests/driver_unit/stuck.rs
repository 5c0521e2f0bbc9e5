//! The driver that cannot go on: it tells people, answers those who ask, and stays.

use crate::estate::until;
use crate::machine::{Machine, machine_with};
use node_agent::record::journal;

async fn machine() -> Machine {
    machine_with(|estate| {
        let told = estate.dir.path().join("told");
        estate.configured(&format!("notify_command = [\"tee\", \"-a\", {told:?}]"))
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
