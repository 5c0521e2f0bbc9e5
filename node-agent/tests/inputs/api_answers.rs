//! Answers of the API with odd states, missing elements, enormous numbers and worse: understood, unknown, or an error.

use crate::canned::{ARN, answering, now, xml};
use node_agent::aws::load_balancer::{CallError, LoadBalancer};
use node_agent::aws::target_group::LONGEST_CHECK;
use node_agent::aws::target_group::{Target, TargetHealth};
use proptest::prelude::*;

/// Text of an element, escaped as XML where it is meant to be.
fn odd_text() -> impl Strategy<Value = String> {
    let escaped =
        any::<String>().prop_map(|text| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
    let odd = prop::sample::select(vec![
        "healthy",
        "unused",
        "Target.NotRegistered",
        "HEALTHY",
        "standby",
        "",
        " ",
        "0",
        "-1",
        "65535",
        "65536",
        "2147483647",
        "99999999999999999999",
        "1e3",
        "NaN",
        "traffic-port",
        "instance",
        "HTTP",
        "200-",
        "@elsewhere.example/",
        "&#x1b;[2J",
        "&#0;",
        "&undefined;",
        "<![CDATA[x]]>",
        "<!-- x -->",
        "i-0123456789abcdef0",
        "80",
        ARN,
    ]);
    prop_oneof![3 => odd.prop_map(ToOwned::to_owned), 1 => escaped]
}

/// Some of these elements, in any order, once or twice, with odd texts.
fn elements(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec((prop::sample::select(names), odd_text()), 0..2 * names.len()).prop_map(
        |elements| elements.into_iter().map(|(name, text)| format!("<{name}>{text}</{name}>")).collect(),
    )
}

fn members(inside: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop::collection::vec(inside, 0..4)
        .prop_map(|all| all.into_iter().map(|one| format!("<member>{one}</member>")).collect())
}

fn target_health() -> impl Strategy<Value = String> {
    let target = prop::option::weighted(0.9, elements(&["Id", "Port", "AvailabilityZone"]));
    let health = prop::option::weighted(0.9, elements(&["State", "Reason", "Description"]));
    let member = (target, health).prop_map(|(target, health)| {
        let target = target.map(|inside| format!("<Target>{inside}</Target>")).unwrap_or_default();
        let health =
            health.map(|inside| format!("<TargetHealth>{inside}</TargetHealth>")).unwrap_or_default();
        target + &health
    });
    members(member).prop_map(|all| format!("<TargetHealthDescriptions>{all}</TargetHealthDescriptions>"))
}

fn target_groups() -> impl Strategy<Value = String> {
    let group = elements(&[
        "TargetGroupArn",
        "TargetGroupName",
        "TargetType",
        "Protocol",
        "ProtocolVersion",
        "HealthCheckProtocol",
        "HealthCheckPort",
        "HealthCheckPath",
        "HealthCheckTimeoutSeconds",
        "Port",
    ]);
    // Most of the time a group that we could work with, apart from what follows.
    let right =
        "<TargetGroupName>web</TargetGroupName><TargetType>instance</TargetType><Protocol>HTTP</Protocol>";
    let group = (any::<bool>(), group).prop_map(move |(begins_right, odd)| {
        if begins_right { format!("<TargetGroupArn>{ARN}</TargetGroupArn>{right}{odd}") } else { odd }
    });
    members(group).prop_map(|all| format!("<TargetGroups>{all}</TargetGroups>"))
}

fn tag_descriptions() -> impl Strategy<Value = String> {
    let tags = members(elements(&["Key", "Value"]));
    let arn = prop::option::weighted(0.8, Just(format!("<ResourceArn>{ARN}</ResourceArn>")));
    let description =
        (arn, tags).prop_map(|(arn, tags)| format!("{}<Tags>{tags}</Tags>", arn.unwrap_or_default()));
    members(description).prop_map(|all| format!("<TagDescriptions>{all}</TagDescriptions>"))
}

/// A whole answer, or one that breaks off.
fn broken_off(call: &'static str, inside: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    (inside, prop::option::weighted(0.2, any::<prop::sample::Index>())).prop_map(move |(inside, cut)| {
        let mut whole = xml(call, &inside).into_bytes();
        if let Some(cut) = cut {
            whole.truncate(cut.index(whole.len()));
        }
        whole
    })
}

fn own() -> Vec<Target> {
    vec![Target::new("i-0123456789abcdef0", 80)]
}

/// Every call that reads, with the same answer.
async fn read_all(load_balancer: &LoadBalancer) -> Vec<Result<(), CallError>> {
    let arns = [ARN.to_owned()];
    vec![
        load_balancer.target_groups(&arns).await.map(drop),
        load_balancer.attributes(ARN).await.map(drop),
        load_balancer.target_health(ARN).await.map(drop),
        load_balancer.tags(&arns).await.map(drop),
    ]
}

proptest! {
    #[test]
    fn target_health_is_known_or_unknown_and_nobody_is_left_out(
        body in broken_off("DescribeTargetHealth", target_health()),
    ) {
        let asked_for = own();
        if let Ok(states) = now(answering(200, body.clone()).target_health_of(ARN, &asked_for)) {
            prop_assert!(asked_for.iter().all(|pair| states.iter().any(|state| state.target == *pair)));
            for state in states {
                prop_assert!(!state.target.id.is_empty());
                prop_assert!(state.target.port > 0 || state.health == TargetHealth::Unknown);
                prop_assert!(!state.to_string().contains(char::is_control), "{state}");
            }
        }
        if let Ok(states) = now(answering(200, body.clone()).target_health(ARN)) {
            let text = String::from_utf8(body).unwrap();
            prop_assert_eq!(states.len(), text.matches("<member>").count());
        }
    }

    #[test]
    fn a_target_group_can_be_worked_with_or_is_refused(
        body in broken_off("DescribeTargetGroups", target_groups()),
    ) {
        for group in now(answering(200, body).target_groups(&[ARN.to_owned()])).into_iter().flatten().flatten() {
            prop_assert!(!group.arn.is_empty() && !group.name.is_empty());
            prop_assert!(group.health_check.path.starts_with('/'));
            prop_assert!(group.health_check.timeout <= LONGEST_CHECK);
        }
    }

    #[test]
    fn tags_are_those_of_the_groups_that_were_asked_for(
        body in broken_off("DescribeTags", tag_descriptions()),
    ) {
        if let Ok(tags) = now(answering(200, body).tags(&[ARN.to_owned()])) {
            prop_assert!(tags.contains_key(ARN));
        }
    }

    #[test]
    fn whatever_the_answer_there_is_no_panic(
        status in 200u16..600, body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            broken_off("DescribeTargetHealth", target_health()),
            broken_off("DescribeTags", tag_descriptions()),
            any::<String>().prop_map(String::into_bytes),
        ],
    ) {
        let answers = now(read_all(&answering(status, body)));
        for answer in answers {
            if let Err(error) = answer {
                prop_assert!(!error.to_string().contains(char::is_control), "{error}");
            } else {
                prop_assert!(status < 300);
            }
        }
    }

    #[test]
    fn only_a_refusal_says_that_a_change_was_not_made(
        status in 100u16..600, code in odd_text(), message in odd_text(),
    ) {
        let body = format!(
            "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
        );
        let load_balancer = answering(status, body);
        let answers = [
            now(load_balancer.add_tag(ARN, "k", "v")),
            now(load_balancer.remove_tag(ARN, "k")),
            now(load_balancer.deregister(ARN, &own())),
            now(load_balancer.register(ARN, &own())),
        ];
        for answer in answers {
            match answer {
                Ok(()) => prop_assert!(status < 400, "{status}"),
                Err(error) => {
                    let refused = (400..500).contains(&status);
                    prop_assert_eq!(error.may_have_been_applied(), !refused, "{}: {}", status, error);
                }
            }
        }
    }
}
