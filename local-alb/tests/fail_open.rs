//! Where requests go when too few targets are healthy.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use axum::http::StatusCode;
use local_alb::TargetGroupSettings;
use support::{
    alb,
    front::{Front, service},
    group, until, until_state,
};

/// Two targets, one healthy and one not; attributes are those of the routing when too few are healthy.
async fn one_of_two(minimum: &[(&str, &str)]) -> Front {
    let well = service("well", StatusCode::OK).await.port;
    let ill = service("ill", StatusCode::SERVICE_UNAVAILABLE).await.port;
    let mut settings = TargetGroupSettings { targets: Vec::new(), ..group("demo", &[]) };
    settings.attributes.extend(minimum.iter().map(|(what, value)| {
        let key = format!("target_group_health.unhealthy_state_routing.minimum_healthy_targets.{what}");
        (key, (*value).to_owned())
    }));
    let front = Front::with(alb(), settings).await;
    for (id, port) in [("i-well", well), ("i-ill", ill)] {
        front.alb.add_instance(support::instance(id));
        front.alb.register(&front.arn, id, port);
    }
    until_state(&front.alb, &front.arn, "i-well", "healthy").await;
    until_state(&front.alb, &front.arn, "i-ill", "unhealthy").await;
    front
}

/// Who answers four requests.
async fn answers(front: &Front) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..4 {
        names.push(front.get("/").await.1);
    }
    names.sort();
    names.dedup();
    names
}

#[tokio::test]
async fn one_healthy_target_is_enough_by_default() {
    assert_eq!(answers(&one_of_two(&[]).await).await, ["well"]);
}

#[tokio::test]
async fn it_begins_below_the_groups_own_minimum() {
    assert_eq!(answers(&one_of_two(&[("count", "2")]).await).await, ["ill", "well"]);
}

#[tokio::test]
async fn it_begins_below_a_percentage_of_the_registered_targets() {
    assert_eq!(answers(&one_of_two(&[("percentage", "50")]).await).await, ["well"]);
    assert_eq!(answers(&one_of_two(&[("percentage", "51")]).await).await, ["ill", "well"]);
}

#[tokio::test]
async fn when_nobody_is_healthy_everybody_gets_requests() {
    let (a, b) = (service("a", StatusCode::SERVICE_UNAVAILABLE).await, service("b", StatusCode::OK).await);
    let front = Front::new(alb(), &[("i-0a000001", a.port), ("i-0a000002", b.port)]).await;
    until_state(&front.alb, &front.arn, "i-0a000001", "unhealthy").await;
    until_state(&front.alb, &front.arn, "i-0a000002", "healthy").await;
    for _ in 0..4 {
        assert_eq!(front.get("/").await.1, "b");
    }
    front.alb.deregister(&front.arn, "i-0a000002", b.port);
    until("requests to the unhealthy one", async || front.get("/").await == (200, "a".to_owned())).await;
}
