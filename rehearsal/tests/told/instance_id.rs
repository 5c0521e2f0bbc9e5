//! A record of another instance: mistyped by a person, or baked into an image.

use crate::estate::{Estate, NODE, estate};

const WRONG: &str = "i-0b000000000000009";

async fn drained() -> Estate {
    let estate = estate().await;
    estate.agent(&["drain"]).await.says(0, &["drained"]);
    estate
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_instance_id_sets_no_record_aside() {
    let estate = drained().await;
    let silent = "the instance metadata service does not confirm that this machine is i-0b000000000000009";
    for verb in [["resume"].as_slice(), &["rejoin"], &["maintain", "--reboot"], &["drain"]] {
        let mut args = vec!["--instance-id", WRONG];
        args.extend(verb);
        let run = estate.agent(&args).await;
        match verb {
            // Drained already, whoever asks.
            ["resume" | "drain"] => run.says(0, &["drained"]),
            _ => run.says(2, &[silent, NODE, "nothing was done. Correct --instance-id"]),
        }
    }
    estate.agent(&["rejoin"]).await.says(0, &["succeeded"]);
    assert_eq!(estate.alb.instances_out(&estate.arn), 0);
    // Finished maintenances and calls in doubt are worth as much.
    estate.agent(&["--instance-id", WRONG, "maintain", "--reboot"]).await.says(2, &[silent]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_metadata_service_nothing_proves_that_an_image_was_baked() {
    let estate = drained().await.on_a_laptop();
    let run = estate.agent(&["--instance-id", WRONG, "rejoin"]).await;
    run.says(2, &["does not confirm", "if the machine was launched from an image of", "move the file away"]);
    estate.agent(&["--instance-id", NODE, "rejoin"]).await.says(0, &["succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_came_with_the_image_is_set_aside() {
    let estate = drained().await;
    let text = std::fs::read_to_string(estate.record()).unwrap();
    std::fs::write(estate.record(), text.replace(NODE, WRONG)).unwrap();
    estate.agent(&["rejoin"]).await.says(0, &["set aside as", "nothing to do"]);
    assert!(estate.record().with_file_name(format!("foreign-{WRONG}.json")).exists());
}
