//! Target group attributes: AWS's keys and defaults. Values that this stand-in uses are checked.

use std::collections::BTreeMap;
use std::time::Duration;

const DELAY: &str = "deregistration_delay.timeout_seconds";
const FAIL_OPEN_COUNT: &str = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count";
const FAIL_OPEN_PERCENTAGE: &str =
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage";
const FAIL_OVER_COUNT: &str = "target_group_health.dns_failover.minimum_healthy_targets.count";
const FAIL_OVER_PERCENTAGE: &str = "target_group_health.dns_failover.minimum_healthy_targets.percentage";
/// AWS's default quota of targets per group.
pub(crate) const MOST_TARGETS: usize = 1000;

/// The keys and defaults that DescribeTargetGroupAttributes returns for an Application Load Balancer.
const DEFAULTS: [(&str, &str); 14] = [
    (DELAY, "300"),
    ("load_balancing.algorithm.anomaly_mitigation", "off"),
    ("load_balancing.algorithm.type", "round_robin"),
    ("load_balancing.cross_zone.enabled", "use_load_balancer_configuration"),
    ("slow_start.duration_seconds", "0"),
    ("stickiness.app_cookie.cookie_name", ""),
    ("stickiness.app_cookie.duration_seconds", "86400"),
    ("stickiness.enabled", "false"),
    ("stickiness.lb_cookie.duration_seconds", "86400"),
    ("stickiness.type", "lb_cookie"),
    (FAIL_OVER_COUNT, "1"),
    (FAIL_OVER_PERCENTAGE, "off"),
    (FAIL_OPEN_COUNT, "1"),
    (FAIL_OPEN_PERCENTAGE, "off"),
];

/// The attributes of one target group.
#[derive(Debug, Clone)]
pub(crate) struct Attributes(BTreeMap<String, String>);

impl Attributes {
    /// AWS's defaults, overridden by the given attributes.
    ///
    /// # Errors
    /// As [`Attributes::set`].
    pub(crate) fn new(given: &BTreeMap<String, String>) -> Result<Attributes, String> {
        let defaults = DEFAULTS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let mut attributes = Attributes(defaults.collect());
        for (key, value) in given {
            attributes.set(key, value)?;
        }
        Ok(attributes)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The deregistration delay, in whole seconds as on AWS.
    pub(crate) fn deregistration_delay(&self) -> Duration {
        let seconds = self.0.get(DELAY).and_then(|value| value.parse().ok());
        Duration::from_secs(seconds.unwrap_or(300))
    }

    /// Whether the load balancer fails open: too few registered targets are healthy, so requests go to all of them. There
    /// are two thresholds, a count and a percentage; falling below either is enough.
    pub(crate) fn fails_open(&self, healthy: usize, registered: usize) -> bool {
        let number = |key: &str| self.0.get(key).and_then(|value| value.parse::<usize>().ok());
        let (count, percentage) = (number(FAIL_OPEN_COUNT), number(FAIL_OPEN_PERCENTAGE));
        healthy < count.unwrap_or(1) || healthy * 100 < registered * percentage.unwrap_or(0)
    }

    /// Sets one attribute.
    ///
    /// # Errors
    /// The key does not exist, or the value is out of range.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        if !self.0.contains_key(key) {
            return Err(format!("Target group attribute key '{key}' is not recognized"));
        }
        allowed(key).permits(key, value)?;
        if has_no_effect(key, value) {
            return Err(format!("'{key}' = '{value}' has no effect in this stand-in: leave it as it is"));
        }
        self.0.insert(key.to_owned(), value.to_owned());
        Ok(())
    }
}

/// What AWS does and this stand-in does not: refused, so that no test relies on it.
fn has_no_effect(key: &str, value: &str) -> bool {
    match key {
        "stickiness.enabled" => value == "true",
        "load_balancing.algorithm.type" => value != "round_robin",
        "load_balancing.algorithm.anomaly_mitigation" => value == "on",
        _ => false,
    }
}

/// What an attribute may be set to (ELBv2 API reference, TargetGroupAttribute).
enum Allowed {
    /// A whole number.
    Number(u32, u32),
    /// A word, or a whole number.
    WordOrNumber(&'static str, u32, u32),
    /// One of these.
    Words(&'static [&'static str]),
    Anything,
}

fn allowed(key: &str) -> Allowed {
    const WEEK: u32 = 604_800;
    match key {
        DELAY => Allowed::Number(0, 3600),
        "slow_start.duration_seconds" => Allowed::WordOrNumber("0", 30, 900),
        FAIL_OPEN_COUNT => Allowed::Number(1, MOST_TARGETS as u32),
        FAIL_OPEN_PERCENTAGE | FAIL_OVER_PERCENTAGE => Allowed::WordOrNumber("off", 1, 100),
        FAIL_OVER_COUNT => Allowed::WordOrNumber("off", 1, MOST_TARGETS as u32),
        "stickiness.lb_cookie.duration_seconds" | "stickiness.app_cookie.duration_seconds" => {
            Allowed::Number(1, WEEK)
        }
        "load_balancing.algorithm.anomaly_mitigation" => Allowed::Words(&["on", "off"]),
        "load_balancing.algorithm.type" => {
            Allowed::Words(&["round_robin", "least_outstanding_requests", "weighted_random"])
        }
        "load_balancing.cross_zone.enabled" => {
            Allowed::Words(&["true", "false", "use_load_balancer_configuration"])
        }
        "stickiness.enabled" => Allowed::Words(&["true", "false"]),
        "stickiness.type" => Allowed::Words(&["lb_cookie", "app_cookie"]),
        _ => Allowed::Anything,
    }
}

impl Allowed {
    fn permits(self, key: &str, value: &str) -> Result<(), String> {
        // Digits alone: AWS takes no sign.
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        let within = |least, most| {
            let number = value.parse::<u32>().ok().filter(|_| digits);
            number.is_some_and(|number| (least..=most).contains(&number))
        };
        match self {
            Allowed::Number(least, most) if !within(least, most) => {
                Err(format!("'{key}' must be between {least} and {most} inclusive"))
            }
            Allowed::WordOrNumber(word, least, most) if value != word && !within(least, most) => {
                Err(format!("'{key}' must be '{word}', or between {least} and {most} inclusive"))
            }
            Allowed::Words(words) if !words.contains(&value) => {
                Err(format!("'{key}' must be one of {}", words.join(", ")))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_keys_are_checked() {
        let mut attributes = Attributes::new(&BTreeMap::new()).unwrap();
        assert_eq!(attributes.deregistration_delay(), Duration::from_secs(300));
        assert_eq!(attributes.set(DELAY, "60"), Ok(()));
        assert_eq!(attributes.deregistration_delay(), Duration::from_secs(60));
        assert!(attributes.set(DELAY, "3601").is_err());
        assert!(attributes.set("slow_start.duration_seconds", "5").is_err());
        assert!(attributes.set("nonsense", "1").is_err());
        for (key, bad) in [
            (DELAY, "+5"),
            (DELAY, ""),
            ("stickiness.enabled", "maybe"),
            ("stickiness.type", "cookie"),
            ("stickiness.lb_cookie.duration_seconds", "0"),
            ("load_balancing.algorithm.type", "fastest"),
            ("load_balancing.algorithm.anomaly_mitigation", "often"),
            ("load_balancing.cross_zone.enabled", "yes"),
            (FAIL_OVER_COUNT, "0"),
        ] {
            let refused = attributes.set(key, bad).unwrap_err();
            assert!(!refused.contains("stand-in"), "{key}={bad}: {refused}");
        }
        assert_eq!(attributes.set("load_balancing.algorithm.anomaly_mitigation", "off"), Ok(()));
        for (key, value) in [
            ("stickiness.enabled", "true"),
            ("load_balancing.algorithm.type", "least_outstanding_requests"),
            ("load_balancing.algorithm.anomaly_mitigation", "on"),
        ] {
            assert!(
                attributes.set(key, value).unwrap_err().contains("has no effect in this stand-in"),
                "{key}"
            );
        }
        assert!(attributes.set(FAIL_OPEN_COUNT, "off").is_err());
        assert!(attributes.set(FAIL_OPEN_PERCENTAGE, "101").is_err());
        assert!(Attributes::new(&[("nonsense".to_owned(), "1".to_owned())].into()).is_err());
    }

    #[test]
    fn it_fails_open_below_the_count_or_the_percentage() {
        let mut attributes = Attributes::new(&BTreeMap::new()).unwrap();
        assert!(attributes.fails_open(0, 10) && !attributes.fails_open(1, 10));
        attributes.set(FAIL_OPEN_COUNT, "3").unwrap();
        assert!(attributes.fails_open(2, 10) && !attributes.fails_open(3, 10));
        attributes.set(FAIL_OPEN_PERCENTAGE, "50").unwrap();
        assert!(attributes.fails_open(4, 9) && !attributes.fails_open(5, 9));
        assert!(attributes.fails_open(2, 2), "the count is not reached");
    }
}
