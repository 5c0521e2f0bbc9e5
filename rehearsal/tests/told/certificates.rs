//! A machine without CA certificates, such as a minimal image.

use crate::estate::{Estate, NODE, estate};

impl Estate {
    fn without_certificates(self) -> Estate {
        self.with("SSL_CERT_FILE", "/dev/null").with("SSL_CERT_DIR", "/nonexistent")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_ca_certificates_each_verb_names_the_package() {
    let estate = estate().await.without_certificates();
    let estate = estate.with("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", "https://127.0.0.1:9");
    let verbs = [
        (["maintain", "--reboot"].as_slice(), 2),
        (&["drain"], 2),
        (&["check"], 1),
        (&["check", "--start"], 1),
        (&["status"], 2),
        (&["lease", "break", NODE], 2),
        (&["lease", "clear", NODE], 2),
        (&["lease", "gc", NODE], 2),
        (&["pause", "release"], 2),
        (&["unpause"], 2),
    ];
    for (verb, code) in verbs {
        let run = estate.agent(verb).await;
        run.says(code, &["this machine has no CA certificates; install the package ca-certificates"]);
    }
    estate.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_ca_certificates_an_endpoint_over_http_is_of_use() {
    let estate = estate().await.without_certificates();
    estate.agent(&["maintain", "--", "true"]).await.says(0, &["succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_ca_certificates_a_node_that_is_out_halts_is_told_and_comes_back_once_they_are_there() {
    let estate = estate().await;
    let told = estate.dir.path().join("told");
    let estate = estate.configured(&format!(
        "register_limit = \"2s\"\nnotify_command = [\"/usr/bin/tee\", \"-a\", {told:?}]"
    ));
    estate.agent(&["drain"]).await.says(0, &["drained"]);
    let whole = estate.environment.clone();
    let bare = estate.without_certificates();
    let mut bare = bare.with("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", "https://127.0.0.1:9");
    bare.agent(&["rejoin"])
        .await
        .says(3, &["halted", "this machine has no CA certificates", "node-agent resume"]);
    let told = std::fs::read_to_string(told).unwrap();
    assert!(told.contains("\"event\":\"halted\"") && told.contains("no CA certificates"), "{told}");
    bare.environment = whole;
    assert!(bare.lease_of(1).is_some(), "the lease is kept");
    bare.agent(&["resume"]).await.says(0, &["succeeded"]);
    assert_eq!((bare.alb.instances_out(&bare.arn), bare.lease_of(1)), (0, None));
}
