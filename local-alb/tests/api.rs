//! Every action and every error, through the AWS SDK over a socket.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use aws_sdk_elasticloadbalancingv2::{
    Client,
    operation::RequestId,
    types::{Tag, TargetGroupAttribute},
};
use local_alb::{Bucket, Buckets, Faults, LocalAlb, TargetGroupSettings};
use support::{alb, api, code, group, health, instance, serve, target};

const NOWHERE: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/nope/0000000000000000";

async fn with_group(settings: TargetGroupSettings) -> (LocalAlb, Client, String) {
    let alb = alb();
    alb.add_instance(instance("i-0a000001"));
    alb.add_instance(instance("i-0a000002"));
    let arn = alb.create_target_group(settings).unwrap();
    let client = api(&alb).await;
    (alb, client, arn)
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

#[tokio::test]
async fn groups_are_found_by_arn_name_and_load_balancer() {
    let (alb, client, arn) = with_group(group("one", &[])).await;
    let unused = TargetGroupSettings { load_balancer: false, ..group("two", &[]) };
    alb.create_target_group(unused).unwrap();
    let balancers = client.describe_load_balancers().send().await.unwrap();
    let balancer = balancers.load_balancers()[0].clone();
    assert_eq!(balancer.r#type().unwrap().as_str(), "application");
    assert_eq!(balancer.state().unwrap().code().unwrap().as_str(), "active");
    assert_eq!(balancer.availability_zones()[0].zone_name(), Some("us-east-1a"));

    let by_arn = client.describe_target_groups().target_group_arns(&arn).send().await.unwrap();
    assert!(by_arn.request_id().is_some());
    let by_name = client.describe_target_groups().names("one").send().await.unwrap();
    let by_balancer = client
        .describe_target_groups()
        .load_balancer_arn(balancer.load_balancer_arn().unwrap())
        .send()
        .await
        .unwrap();
    for found in [by_arn, by_name, by_balancer] {
        let [found] = found.target_groups() else { panic!("{found:?}") };
        assert_eq!(found.target_group_arn(), Some(arn.as_str()));
        assert_eq!(found.target_type().unwrap().as_str(), "instance");
        assert_eq!(
            (found.health_check_path(), found.health_check_port()),
            (Some("/healthz"), Some("traffic-port"))
        );
        assert_eq!(found.load_balancer_arns(), [balancer.load_balancer_arn().unwrap()]);
    }
    let unknown = client.describe_target_groups().target_group_arns(NOWHERE).send().await;
    assert_eq!(code(unknown), "TargetGroupNotFound");
    let by_arn = async |arn: &str| code(client.describe_target_groups().target_group_arns(arn).send().await);
    assert_eq!(by_arn("one").await, "TargetGroupNotFound");
    let elsewhere = [NOWHERE.replace("us-east-1", "us-west-2"), NOWHERE.replace("1234", "9999")];
    for not_ours in ["arn:aws:nope", &elsewhere[0], &elsewhere[1]] {
        assert_eq!(by_arn(not_ours).await, "ValidationError", "{not_ours}");
    }
    let many = Some(vec!["one".to_owned(); 21]);
    assert_eq!(code(client.describe_target_groups().set_names(many).send().await), "ValidationError");
    assert_eq!(code(client.describe_target_groups().names("nope").send().await), "TargetGroupNotFound");
    let unknown = client.describe_target_groups().load_balancer_arn("arn:aws:nope").send().await;
    assert_eq!(code(unknown), "LoadBalancerNotFound");
    assert_eq!(code(client.describe_load_balancers().names("nope").send().await), "LoadBalancerNotFound");
}

#[tokio::test]
async fn a_group_in_use_has_a_listener_that_forwards_to_it() {
    let (alb, client, arn) = with_group(group("one", &[])).await;
    alb.create_target_group(TargetGroupSettings { load_balancer: false, ..group("two", &[]) }).unwrap();
    let balancer = client.describe_load_balancers().send().await.unwrap().load_balancers()[0].clone();
    let of = |arn: &str| client.describe_listeners().load_balancer_arn(arn).send();
    let found = of(balancer.load_balancer_arn().unwrap()).await.unwrap();
    let [listener] = found.listeners() else { panic!("{found:?}") };
    assert_eq!(listener.default_actions()[0].target_group_arn(), Some(arn.as_str()));
    let rules = client.describe_rules().listener_arn(listener.listener_arn().unwrap()).send().await.unwrap();
    let [rule] = rules.rules() else { panic!("{rules:?}") };
    assert_eq!((rule.is_default(), rule.priority()), (Some(true), Some("default")));
    assert_eq!(rule.actions()[0].target_group_arn(), Some(arn.as_str()));
    assert_eq!(code(of("arn:aws:nope").await), "LoadBalancerNotFound");
    let unknown = client.describe_listeners().listener_arns("arn:aws:nope").send().await;
    assert_eq!(code(unknown), "ListenerNotFound");
    assert_eq!(code(client.describe_rules().listener_arn("arn:aws:nope").send().await), "ListenerNotFound");
    assert_eq!(code(client.describe_listeners().send().await), "ValidationError");
}

#[tokio::test]
async fn the_load_balancer_its_listeners_and_rules_are_described_and_have_no_tags() {
    let (_, client, arn) = with_group(group("demo", &[])).await;
    let balancers = client.describe_load_balancers().send().await.unwrap();
    let balancer = balancers.load_balancers()[0].load_balancer_arn().unwrap();
    let described =
        client.describe_load_balancer_attributes().load_balancer_arn(balancer).send().await.unwrap();
    let idle =
        described.attributes().iter().find(|known| known.key() == Some("idle_timeout.timeout_seconds"));
    assert_eq!(idle.unwrap().value(), Some("60"));
    let listeners = client.describe_listeners().load_balancer_arn(balancer).send().await.unwrap();
    let listener = listeners.listeners()[0].listener_arn().unwrap();
    let rules = client.describe_rules().listener_arn(listener).send().await.unwrap();
    let rule = rules.rules()[0].rule_arn().unwrap();
    let tags = client.describe_tags().resource_arns(balancer).resource_arns(listener).resource_arns(rule);
    let tags = tags.resource_arns(&arn).send().await.unwrap();
    assert_eq!(tags.tag_descriptions().len(), 4);
    let other = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/other/0";
    let other = client.describe_load_balancer_attributes().load_balancer_arn(other).send().await;
    assert_eq!(code(other), "LoadBalancerNotFound");
}

#[tokio::test]
async fn groups_come_in_pages() {
    let (alb, client, _) = with_group(group("a", &[])).await;
    for name in ["b", "c"] {
        alb.create_target_group(group(name, &[])).unwrap();
    }
    let pages = client.describe_target_groups().page_size(2).into_paginator().send();
    let pages: Vec<_> = pages.collect::<Result<_, _>>().await.unwrap();
    assert_eq!(pages.iter().map(|page| page.target_groups().len()).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(code(client.describe_target_groups().page_size(0).send().await), "ValidationError");
    assert_eq!(code(client.describe_target_groups().marker("nonsense").send().await), "ValidationError");
    let far_out = client.describe_target_groups().marker(u64::MAX.to_string()).send().await.unwrap();
    assert!(far_out.target_groups().is_empty() && far_out.next_marker().is_none());
}

#[tokio::test]
async fn attributes_are_read_and_modified() {
    let (_, client, arn) = with_group(group("one", &[])).await;
    let set = |key: &str, value: &str| {
        let attribute = TargetGroupAttribute::builder().key(key).value(value).build();
        client.modify_target_group_attributes().target_group_arn(&arn).attributes(attribute).send()
    };
    set(support::DELAY, "3600").await.unwrap();
    let read = client.describe_target_group_attributes().target_group_arn(&arn).send().await.unwrap();
    let value = |key| read.attributes().iter().find(|a| a.key() == Some(key)).and_then(|a| a.value());
    assert_eq!(value(support::DELAY), Some("3600"));
    assert_eq!(value("slow_start.duration_seconds"), Some("0"));
    for (key, bad) in [
        (support::DELAY, "3601"),
        (support::DELAY, "soon"),
        (support::DELAY, "+5"),
        ("stickiness.enabled", "maybe"),
        ("load_balancing.algorithm.type", "fastest"),
        ("nonsense", "1"),
    ] {
        let answer = code(set(key, bad).await);
        assert!(
            ["ValidationError", "InvalidConfigurationRequest"].contains(&answer.as_str()),
            "{key}: {answer}"
        );
    }
    let unknown = client.describe_target_group_attributes().target_group_arn(NOWHERE).send().await;
    assert_eq!(code(unknown), "TargetGroupNotFound");
}

#[tokio::test]
async fn tags_are_added_changed_and_removed() {
    let (alb, client, arn) = with_group(group("one", &[])).await;
    let add = |tags: Vec<Tag>| client.add_tags().resource_arns(&arn).set_tags(Some(tags)).send();
    let value = "i-0a000001:uuid=1+2@x / y";
    add(vec![tag("lease", "old"), tag("other", "")]).await.unwrap();
    add(vec![tag("lease", value)]).await.unwrap();
    client.remove_tags().resource_arns(&arn).tag_keys("other").tag_keys("never there").send().await.unwrap();
    let read = client.describe_tags().resource_arns(&arn).send().await.unwrap();
    assert_eq!(read.tag_descriptions()[0].tags(), [tag("lease", value)]);
    assert_eq!(alb.tags(&arn)["lease"], value);

    assert_eq!(code(add(vec![tag("a", "1"), tag("a", "2")]).await), "DuplicateTagKeys");
    for (key, bad) in [
        ("a|b", ""),
        ("a", "{}"),
        // Circled letters and combining marks are alphabetic, and no letters.
        ("a", "\u{24d0}"),
        ("a", "e\u{301}"),
        ("aws:x", ""),
        ("a", &*"x".repeat(257)),
        (&*"x".repeat(129), ""),
    ] {
        assert_eq!(code(add(vec![tag(key, bad)]).await), "ValidationError", "{key}");
    }
    let two = client.add_tags().resource_arns(&arn).resource_arns(&arn).tags(tag("a", "1"));
    assert_eq!(code(two.send().await), "ValidationError");
    add((0..49).map(|n| tag(&format!("k{n}"), "")).collect()).await.unwrap();
    assert_eq!(code(add(vec![tag("one more", "")]).await), "TooManyTags");
    assert_eq!(alb.tags(&arn).len(), 50);
    assert_eq!(code(client.describe_tags().resource_arns(NOWHERE).send().await), "TargetGroupNotFound");
    let many = (0..21).map(|_| arn.clone()).collect();
    assert_eq!(code(client.describe_tags().set_resource_arns(Some(many)).send().await), "ValidationError");
}

#[tokio::test]
async fn targets_are_pairs_of_id_and_port() {
    let (alb, client, arn) = with_group(group("one", &[("i-0a000001", 9000)])).await;
    // Without its port the target is another one: AWS says yes and does nothing.
    client
        .deregister_targets()
        .target_group_arn(&arn)
        .targets(target("i-0a000001", None))
        .send()
        .await
        .unwrap();
    assert_eq!(
        alb.targets(&arn).iter().filter(|t| t.port == 9000 && t.state.to_string() != "draining").count(),
        1
    );
    let shown = health(&client, &arn, &[target("i-0a000001", None), target("i-0a000002", 1)]).await;
    let gone = |id: &str, port| (id.to_owned(), port, "unused".to_owned(), "Target.NotRegistered".to_owned());
    assert_eq!(shown, [gone("i-0a000001", 8080), gone("i-0a000002", 1)]);

    client
        .register_targets()
        .target_group_arn(&arn)
        .targets(target("i-0a000002", None))
        .send()
        .await
        .unwrap();
    let ports: Vec<_> =
        health(&client, &arn, &[]).await.into_iter().map(|(id, port, ..)| (id, port)).collect();
    assert_eq!(ports, [("i-0a000001".to_owned(), 9000), ("i-0a000002".to_owned(), 8080)]);

    let register =
        |arn: &str, id: &str| client.register_targets().target_group_arn(arn).targets(target(id, 80)).send();
    assert_eq!(code(register(&arn, "i-0a00000f").await), "InvalidTarget");
    for malformed in ["i-unknown", "i-0a00", "web-1", "i-0A000001"] {
        assert_eq!(code(register(&arn, malformed).await), "ValidationError", "{malformed}");
    }
    assert_eq!(code(register(NOWHERE, "i-0a000001").await), "TargetGroupNotFound");
    let deregister =
        client.deregister_targets().target_group_arn(NOWHERE).targets(target("i-0a000001", 80)).send().await;
    assert_eq!(code(deregister), "TargetGroupNotFound");
    assert_eq!(
        code(client.describe_target_health().target_group_arn(NOWHERE).send().await),
        "TargetGroupNotFound"
    );
}

#[tokio::test]
async fn a_group_takes_a_thousand_targets() {
    let (_, client, arn) = with_group(group("one", &[("i-0a000001", 1)])).await;
    let register = |ports: std::ops::Range<i32>| {
        let targets = ports.map(|port| target("i-0a000001", port)).collect();
        client.register_targets().target_group_arn(&arn).set_targets(Some(targets)).send()
    };
    assert_eq!(code(register(2..1002).await), "TooManyTargets");
    register(1..1001).await.unwrap();
    // One that is registered already is no further one.
    register(1..3).await.unwrap();
    assert_eq!(code(register(1001..1002).await), "TooManyTargets");
}

#[tokio::test]
async fn a_group_in_no_rule_is_not_in_use() {
    let unused = TargetGroupSettings { load_balancer: false, ..group("one", &[("i-0a000001", 80)]) };
    let (_, client, arn) = with_group(unused).await;
    let answer = client.describe_target_health().target_group_arn(&arn).send().await.unwrap();
    let [shown] = answer.target_health_descriptions() else { panic!("{answer:?}") };
    assert_eq!(shown.target_health().unwrap().reason().unwrap().as_str(), "Target.NotInUse");
    assert_eq!(shown.health_check_port(), None);
}

#[tokio::test]
async fn unknown_actions_versions_and_callers_are_refused_in_xml() {
    let (alb, _, _) = with_group(group("one", &[])).await;
    let url = format!("http://127.0.0.1:{}/", serve(alb.aws().elastic_load_balancing()).await);
    let http = reqwest::Client::new();
    let ask = async |body: &'static str, signed: bool| {
        let mut request = http.post(&url).body(body);
        if signed {
            request = request.header("authorization", "AWS4-HMAC-SHA256 nothing");
        }
        let answer = request.send().await.unwrap();
        assert!(answer.headers().contains_key("x-amzn-requestid"));
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for (body, signed, status, code) in [
        ("Action=Fly&Version=2015-12-01", true, 400, "InvalidAction"),
        ("Action=DescribeTags&Version=2012-06-01", true, 400, "InvalidAction"),
        ("Version=2015-12-01", true, 400, "MissingAction"),
        ("Action=DescribeTags&Version=2015-12-01", true, 400, "ValidationError"),
        ("Action=DescribeTags&Version=2015-12-01", false, 403, "MissingAuthenticationToken"),
    ] {
        let (found, xml) = ask(body, signed).await;
        assert_eq!(found, status, "{xml}");
        assert!(xml.contains(&format!("<Code>{code}</Code>")), "{xml}");
    }
}

#[tokio::test]
async fn faults_take_effect_at_once() {
    let (alb, client, arn) = with_group(group("one", &[])).await;
    let add = |key: &str| client.add_tags().resource_arns(&arn).tags(tag(key, "")).send();
    alb.set_faults(Faults { error_rate: 1.0, ..Faults::default() });
    assert_eq!(code(add("error").await), "InternalFailure");
    let one = Bucket { burst: 1.0, per_second: 0.0 };
    let throttle = Some(Buckets { describe: one, ..Buckets::default() });
    alb.set_faults(Faults { throttle, ..Faults::default() });
    client.describe_tags().resource_arns(&arn).send().await.unwrap();
    assert_eq!(code(client.describe_tags().resource_arns(&arn).send().await), "Throttling");
    alb.set_faults(Faults { lost_answer_rate: 1.0, ..Faults::default() });
    assert!(add("lost").await.unwrap_err().as_service_error().is_none());
    alb.set_faults(Faults { refuse: true, ..Faults::default() });
    assert!(add("refused").await.unwrap_err().as_service_error().is_none());
    alb.set_faults(Faults::default());
    assert_eq!(alb.tags(&arn).into_keys().collect::<Vec<_>>(), ["lost"]);
    assert_eq!(alb.calls().iter().filter(|call| call.action == "AddTags").count(), 3);
}

#[tokio::test]
async fn a_quoted_control_character_does_not_spoil_the_xml() {
    let url = format!("http://127.0.0.1:{}/", serve(alb().aws().elastic_load_balancing()).await);
    let body = "Action=DescribeTags&Version=2015-12-01&ResourceArns.member.1=%01";
    let request = reqwest::Client::new().post(url).header("authorization", "x").body(body);
    let xml = request.send().await.unwrap().text().await.unwrap();
    assert!(!xml.contains('\u{1}'), "{xml:?}");
}

#[tokio::test]
async fn the_attempt_that_an_sdk_says_it_makes_is_recorded() {
    let (alb, client, _) = with_group(group("one", &[])).await;
    client.describe_target_groups().send().await.unwrap();
    let calls = alb.calls();
    assert!(calls[0].sdk_request.as_ref().unwrap().contains("attempt=1"), "{calls:?}");
}
