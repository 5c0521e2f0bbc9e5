//! A package is rolled back, or upgraded, while a node is out: the other version's record brings it back.

use crate::fleet::{Fleet, finished, fleet};
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;
use serde_json::{Value, json};

/// A node that drains when its package is exchanged, and the settings on its record as the other version has written them.
async fn out_with(settings: &[(&str, Value)]) -> Fleet {
    let fleet = fleet().start().await;
    let node = &fleet.nodes[0];
    let running = node.begun(node.run(&["patch"]), Phase::Drain).await;
    running.abort();
    let _ = running.await;
    let path = node.settings.state_dir.join("record.json");
    let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let written = record["operation"]["request"]["settings"].as_object_mut().unwrap();
    written.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    std::fs::write(&path, serde_json::to_vec(&record).unwrap()).unwrap();
    fleet
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn settings_that_this_version_does_not_know_do_not_keep_a_node_out() {
    let newer =
        [("gates", json!(["canary"])), ("on_unhealthy", json!("ask")), ("settle", json!({"adaptive": true}))];
    let fleet = out_with(&newer).await;
    let back = finished(fleet.nodes[0].resume().await);
    assert_eq!(back.verdict, Verdict::Succeeded, "{back:?}");
    fleet.assert_restored();
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn settings_that_the_other_version_did_not_write_have_their_defaults() {
    let fleet = out_with(&[]).await;
    let settings = fleet.nodes[0].operation().unwrap().request.settings;
    assert_eq!(settings.drain_floor, node_agent::settings::Settings::default().drain_floor);
    let back = finished(fleet.nodes[0].resume().await);
    assert_eq!(back.verdict, Verdict::Succeeded, "{back:?}");
    fleet.assert_restored();
}
