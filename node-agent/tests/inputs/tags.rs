//! Tags on a target group, whoever wrote them: leases, policy, and the attributes that come with them.

use jiff::Timestamp;
use node_agent::aws::health_check::matches_status;
use node_agent::aws::target_group::Attributes;
use node_agent::lease::operator::{broken, find, look_back, may_break, may_clear, may_collect};
use node_agent::lease::policy::Policy;
use node_agent::lease::queue::{LARGEST_TICKET, Move, Pace, Standing, Ticket, Watched, next_move};
use node_agent::lease::tag::{MAX_VALUE, owner};
use node_agent::lease::{LeaseState, Leases, Reading};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

/// Values that nearly look like ours.
fn nearly_a_tag() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "v1",
        "p=held",
        "p=waiting",
        "p=failed",
        "p=HELD",
        "p=",
        "p",
        "=",
        "e=",
        "e=ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "t=18446744073709551616",
        "t=-1",
        "s=1e9",
        "k=0",
        "k=4294967296",
        "k=many",
        "i=10.0.0.1",
        "i=",
        "op=a=b",
        "at=yesterday",
        "at=-009999-01-01T00:00:00Z",
        "\u{0}",
        "\u{1b}[2J",
        "\u{a0}",
        "é",
    ]);
    let separator = prop::sample::select(vec![" ", "  ", "\t", "\n", "", "\u{2003}"]);
    prop::collection::vec((word, separator), 0..12)
        .prop_map(|parts| parts.into_iter().flat_map(|(word, space)| [word, space]).collect())
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), nearly_a_tag(), "p=(held|halted|waiting|failed|broken) \\PC{0,300}"]
}

fn any_tags() -> impl Strategy<Value = BTreeMap<String, String>> {
    let id = prop::sample::select(vec!["i-1", "i-2", "AROAX:i-3", "", "a/b:i-4"]);
    let lease = id.prop_map(|id| format!("node-agent/lease/{id}"));
    let name = prop::sample::select(vec![
        "max-unavailable",
        "min-healthy",
        "fleet-size",
        "max-failures",
        "paused",
        "lease",
    ]);
    let key = prop_oneof![lease, name.prop_map(|name| format!("node-agent/{name}")), any::<String>()];
    let number = any::<i64>().prop_map(|number| number.to_string());
    prop::collection::btree_map(key, prop_oneof![any_value(), number], 0..12)
}

/// A queue in which anybody may have written anything.
fn any_queue() -> impl Strategy<Value = BTreeMap<String, String>> {
    let number =
        prop_oneof![any::<u64>(), 0..20u64, Just(u64::MAX), Just(u64::MAX - 1), Just(LARGEST_TICKET - 1)];
    let at =
        prop::sample::select(vec!["-009999-01-02T00:00:00Z", "9999-12-30T00:00:00Z", "2026-01-01T00:00:00Z"]);
    let hold = prop::sample::select(vec!["waiting", "waiting", "held", "halted", "failed"]);
    let tag = (hold, number.clone(), number, any::<u32>(), at);
    let value = tag.prop_map(|(hold, ticket, sequence, k, at)| {
        format!("v1 p={hold} e=1 t={ticket} s={sequence} k={k} at={at}")
    });
    prop::collection::btree_map("node-agent/lease/i-[0-9]{1,2}", value, 0..20)
}

proptest! {
    #[test]
    fn a_value_that_cannot_be_read_is_held(value in any_value()) {
        let reading = Reading::parse(&value);
        let slot_free = matches!(reading.state(), Some(LeaseState::Waiting | LeaseState::Failed | LeaseState::Broken));
        prop_assert_eq!(reading.takes_slot(), !slot_free);
        if slot_free {
            let word = format!("p={}", reading.word());
            prop_assert!(value.split_ascii_whitespace().any(|field| field == word));
        }
    }

    #[test]
    fn whatever_was_read_can_be_written_again(value in any_value()) {
        let again = broken(&Reading::parse(&value)).to_string();
        prop_assert!(again.len() <= MAX_VALUE, "{} characters: {again}", again.len());
        prop_assert!(again.chars().all(|c| c.is_ascii_alphanumeric() || " _.:/=+-@".contains(c)), "{again}");
        prop_assert_eq!(Reading::parse(&again).state(), Some(LeaseState::Broken));
    }

    #[test]
    fn any_key_has_an_owner_or_none(key in any::<String>(), id in "[^:/]{1,40}") {
        let _ = owner(&key);
        let key = format!("node-agent/lease/{id}");
        prop_assert_eq!(owner(&key), Some(id.as_str()));
    }

    #[test]
    fn every_lease_counts_and_every_decision_is_made(tags in any_tags()) {
        let leases = Leases::from_tags(&tags);
        let held = leases.iter().filter(|(_, reading)| reading.takes_slot()).count();
        prop_assert_eq!(leases.holders().count(), held);
        if let Ok(policy) = Policy::from_tags(&tags) {
            prop_assert!((1..=20).contains(&policy.max_unavailable));
            prop_assert!(leases.slots("i-1", &policy) >= 1);
            let _ = (leases.may_start("i-1", &policy), leases.slot("i-1", &policy));
            let _ = leases.confirm("i-1", "", &policy);
        }
        let _ = (find(&tags, "i-1"), may_break(&tags, "i-1"), may_clear(&tags, "i-1"));
        let _ = (may_collect(&tags, &[], "i-1"), look_back(&tags, "i-1", "node-agent/lease/i-1"));
    }

    #[test]
    fn there_is_a_next_move_in_any_queue_and_tickets_stay_small(
        tags in any_queue(),
        (number, sequence, registered, last) in any::<(Option<u64>, u64, usize, u64)>(),
        (passed, fleet_rate, dice) in (any::<u64>(), 0.0001..1e9f64, 0.0..1.0f64),
        (hold, settle, poll) in (0..365 * 24 * 3600u64, 0..365 * 24 * 3600u64, 1..365 * 24 * 3600u64),
    ) {
        let (leases, policy) = (Leases::from_tags(&tags), Policy::default());
        let pace = Pace {
            fleet_rate,
            hold: Duration::from_secs(hold),
            settle: Duration::from_secs(settle),
            next_in_line: Duration::from_secs(poll),
        };
        let ticket = number.map(|number| Ticket { number, nonce: "1".into(), sequence });
        let standing = Standing { me: "me", ticket: ticket.as_ref(), registered, tags: tags.len() };
        let mut watched = Watched::default();
        let now = Duration::from_secs(passed);
        watched.look(&leases, now);
        match next_move(&leases, &policy, standing, &watched, now, &pace, dice) {
            Move::Join(joined) => prop_assert!(joined <= LARGEST_TICKET, "{joined}"),
            Move::Queue(position, _) => {
                prop_assert!(position < tags.len());
                let wait = pace.expected_wait(&leases, "me", position, Timestamp::MAX);
                let wait = wait.max(pace.expected_wait(&leases, "me", position, Timestamp::MIN));
                prop_assert!(pace.queued(position, wait, policy.max_unavailable) > Duration::ZERO);
            }
            Move::Claim | Move::Outside(_) => (),
        }
        let pauses = [pace.start_spread(registered), pace.outside(registered, leases.slots("me", &policy), last)];
        // What is waited for is added to this moment.
        prop_assert!(pauses.iter().all(|pause| tokio::time::Instant::now().checked_add(*pause).is_some()), "{pauses:?}");
    }

    #[test]
    fn a_policy_is_a_number_in_its_range_or_named(value in prop_oneof![any::<String>(), "[0-9 +-]{0,12}"]) {
        for (name, range) in [("max-unavailable", 1..=20), ("fleet-size", 1..=1000), ("min-healthy", 0..=1000)] {
            let key = format!("node-agent/{name}");
            let tags = BTreeMap::from([(key.clone(), value.clone())]);
            match Policy::from_tags(&tags) {
                Ok(policy) => {
                    let number = [policy.max_unavailable, policy.fleet_size.unwrap_or(1), policy.min_healthy];
                    let index = ["max-unavailable", "fleet-size", "min-healthy"].iter().position(|n| *n == name);
                    prop_assert!(range.contains(&number[index.unwrap()]));
                }
                Err(error) => prop_assert!(error.to_string().contains(&key)),
            }
        }
    }

    #[test]
    fn attributes_stay_within_what_the_api_takes(
        value in prop_oneof![any::<String>(), any::<u64>().prop_map(|n| n.to_string())],
    ) {
        let keys = [
            "deregistration_delay.timeout_seconds",
            "slow_start.duration_seconds",
            "target_group_health.dns_failover.minimum_healthy_targets.count",
            "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
            "load_balancing.cross_zone.enabled",
        ];
        let pairs = keys.map(|key| (key.to_owned(), value.clone())).into();
        let attributes = Attributes::from_pairs(&pairs);
        prop_assert!(attributes.deregistration_delay <= Duration::from_secs(3600));
        prop_assert!(attributes.slow_start <= Duration::from_secs(900));
        prop_assert!(attributes.minimum_healthy_percent <= 100);
    }

    #[test]
    fn a_matcher_that_is_none_matches_nothing(matcher in any::<String>(), status in 100u16..600) {
        if matches_status(&matcher, status) {
            prop_assert!(matcher.contains(|c: char| c.is_ascii_digit()), "{matcher:?} matches {status}");
        }
    }
}
