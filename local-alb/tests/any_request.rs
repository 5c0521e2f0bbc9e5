//! Whatever is sent to the API, the answer is XML and nothing panics.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use proptest::prelude::*;
use quick_xml::{Reader, events::Event};
use support::{alb, group, instance};
use tower::ServiceExt;

const ACTIONS: [&str; 13] = [
    "DescribeTargetHealth",
    "RegisterTargets",
    "DeregisterTargets",
    "DescribeTargetGroups",
    "DescribeTargetGroupAttributes",
    "ModifyTargetGroupAttributes",
    "DescribeLoadBalancers",
    "DescribeLoadBalancerAttributes",
    "DescribeListeners",
    "DescribeRules",
    "DescribeTags",
    "AddTags",
    "RemoveTags",
];
const NAMES: [&str; 15] = [
    "TargetGroupArn",
    "Targets.member.1.Id",
    "Targets.member.1.Port",
    "ResourceArns.member.1",
    "Tags.member.1.Key",
    "Tags.member.1.Value",
    "TagKeys.member.99999999999",
    "Attributes.member.1.Key",
    "Attributes.member.1.Value",
    "PageSize",
    "Marker",
    "Names.member.1",
    "LoadBalancerArn",
    "ListenerArn",
    "ListenerArns.member.1",
];

fn answer(body: Vec<u8>) -> (u16, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let alb = alb();
        alb.add_instance(instance("i-0a000001"));
        alb.create_target_group(group("demo", &[])).unwrap();
        let request = Request::post("/").header("authorization", "x").body(Body::from(body)).unwrap();
        let answer = alb.aws().elastic_load_balancing().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    })
}

/// Well-formed, without characters that XML 1.0 has no place for.
fn is_xml(text: &str) -> bool {
    let legal = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let mut reader = Reader::from_str(text);
    let parses = loop {
        match reader.read_event() {
            Ok(Event::Eof) => break true,
            Ok(_) => {}
            Err(_) => break false,
        }
    };
    parses && text.chars().all(legal)
}

fn check(body: Vec<u8>) -> Result<(), TestCaseError> {
    let shown = String::from_utf8_lossy(&body).into_owned();
    let (status, xml) = answer(body);
    prop_assert!([200, 400, 403].contains(&status), "{shown}: {status}");
    prop_assert!(is_xml(&xml), "{shown}: {xml:?}");
    let root = if status == 200 { "Response xmlns=" } else { "<ErrorResponse xmlns=" };
    prop_assert!(xml.contains(root), "{shown}: {xml}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(body in prop::collection::vec(any::<u8>(), 0..300)) {
        check(body)?;
    }

    #[test]
    fn any_parameters(
        action in prop::sample::select(ACTIONS.to_vec()),
        pairs in prop::collection::vec((prop::sample::select(NAMES.to_vec()), parameter()), 0..6),
    ) {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", "2015-12-01").extend_pairs(pairs);
        check(form.finish().into_bytes())?;
    }
}

/// Text, and numbers at the edges.
fn parameter() -> impl Strategy<Value = String> {
    let edges = ["0", "1", "400", "65536", "4294967296", "18446744073709551615", "-1", ""];
    // With the real ARN, a request gets behind the first check.
    let known = ["arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/demo/", "i-0a000001", "80"];
    let known = known.map(|text| text.replace("/demo/", &format!("/demo/{}", id_of_demo())));
    prop_oneof![
        any::<String>(),
        prop::sample::select(edges.to_vec()).prop_map(str::to_owned),
        prop::sample::select(known.to_vec()),
    ]
}

/// The last part of the group's ARN, which depends on its name alone.
fn id_of_demo() -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let arn = runtime.block_on(async { alb().create_target_group(group("demo", &[])).unwrap() });
    arn.rsplit('/').next().unwrap().to_owned()
}

/// The strategy above does reach the actions: with the ARN alone, those that need no more succeed.
#[test]
fn a_request_with_the_real_arn_is_carried_out() {
    let arn =
        format!("arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/demo/{}", id_of_demo());
    for action in ["DescribeTargetHealth", "DescribeTargetGroupAttributes"] {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action)
            .append_pair("Version", "2015-12-01")
            .append_pair("TargetGroupArn", &arn);
        assert_eq!(answer(form.finish().into_bytes()).0, 200, "{action}");
    }
}
