//! Answers of the API that would do harm if they were believed.

use crate::canned::{ARN, answering, at, xml};
use crate::server::{Reply, Server};
use node_agent::aws::load_balancer::{CallError, CallErrorKind};
use node_agent::aws::own_groups::{self, MembershipError, Search};
use node_agent::aws::target_group::{Target, TargetHealth};

fn own() -> [Target; 1] {
    [Target::new("i-0123456789abcdef0", 80)]
}

fn is_unexpected<T: std::fmt::Debug>(answer: Result<T, CallError>, part: &str) {
    let error = answer.unwrap_err();
    assert!(matches!(error.kind, CallErrorKind::Unknown(_)), "{error}");
    assert!(error.to_string().contains(part), "{error}");
}

#[tokio::test]
async fn a_target_missing_in_the_answer_does_not_count_as_drained() {
    for inside in ["", "<TargetHealthDescriptions/>"] {
        let load_balancer = answering(200, xml("DescribeTargetHealth", inside));
        let states = load_balancer.target_health_of(ARN, &own()).await.unwrap();
        assert_eq!(states.len(), 1);
        assert_eq!((&states[0].target, states[0].health), (&own()[0], TargetHealth::Unknown));
        assert!(!states[0].is_not_registered());
    }
}

#[tokio::test]
async fn a_group_missing_in_the_answer_does_not_count_as_free_of_leases() {
    for inside in ["", "<TagDescriptions/>", "<TagDescriptions><member><Tags/></member></TagDescriptions>"] {
        let load_balancer = answering(200, xml("DescribeTags", inside));
        is_unexpected(
            load_balancer.tags(&[ARN.to_owned()]).await,
            "unexpected response: no entry for arn:aws:",
        );
    }
    let nameless = format!(
        "<TagDescriptions><member><ResourceArn>{ARN}</ResourceArn><Tags><member><Value>v1 p=held</Value></member></Tags>\
         </member></TagDescriptions>"
    );
    let load_balancer = answering(200, xml("DescribeTags", &nameless));
    is_unexpected(load_balancer.tags(&[ARN.to_owned()]).await, "a tag without a key");
}

#[tokio::test]
async fn a_target_without_its_id_does_not_make_the_fleet_smaller() {
    let inside = "<TargetHealthDescriptions><member><TargetHealth><State>unhealthy</State></TargetHealth></member>\
                  </TargetHealthDescriptions>";
    let load_balancer = answering(200, xml("DescribeTargetHealth", inside));
    is_unexpected(load_balancer.target_health(ARN).await, "a target without an id");
}

#[tokio::test]
async fn a_list_without_an_end_is_given_up() {
    let inside = "<TargetGroups/><NextMarker>again</NextMarker>";
    let load_balancer = answering(200, xml("DescribeTargetGroups", inside));
    let found = own_groups::at_least_one(&load_balancer, &Search::of(&[])).await;
    let Err(MembershipError::Call(error)) = found else { panic!("{found:?}") };
    is_unexpected(Err::<(), _>(error), "more than 100 pages");
}

#[tokio::test]
async fn a_health_check_stays_on_this_node_and_within_two_minutes() {
    let group = format!(
        "<TargetGroups><member><TargetGroupArn>{ARN}</TargetGroupArn><TargetGroupName>web</TargetGroupName>\
         <TargetType>instance</TargetType><Protocol>HTTP</Protocol><HealthCheckPath>@elsewhere.example/</HealthCheckPath>\
         <HealthCheckTimeoutSeconds>2147483647</HealthCheckTimeoutSeconds></member></TargetGroups>"
    );
    let load_balancer = answering(200, xml("DescribeTargetGroups", &group));
    let group = load_balancer.target_groups(&[ARN.to_owned()]).await.unwrap().remove(0).unwrap();
    assert_eq!(group.health_check.path, "/");
    assert_eq!(group.health_check.timeout.as_secs(), 120);
}

#[tokio::test]
async fn too_many_requests_is_throttling_with_and_without_a_body() {
    let error = answering(429, "").add_tag(ARN, "k", "v").await.unwrap_err();
    assert!(error.is_throttled() && !error.may_have_been_applied(), "{error}");
}

#[tokio::test]
async fn a_message_is_one_line_of_a_thousand_characters() {
    let text = "x\n".repeat(5000);
    let body =
        format!("<ErrorResponse><Error><Code>Odd</Code><Message>{text}</Message></Error></ErrorResponse>");
    let error = answering(400, body).attributes(ARN).await.unwrap_err().to_string();
    assert!(error.len() < 1100 && !error.contains('\n'), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_endless_length_is_not_read_to_its_end() {
    let server = Server::start(Reply::Endless("<DescribeTagsResponse>")).await;
    let error = at(&server.url).tags(&[ARN.to_owned()]).await.unwrap_err();
    assert!(error.may_have_been_applied(), "{error}");
    let mib = server.sent() / 1024 / 1024;
    assert!((16..40).contains(&mib), "{mib} MiB were taken");
}
