//! Target group attributes: AWS's keys and defaults. Values that this stand-in uses are checked.

use std::collections::BTreeMap;
use std::time::Duration;

const DELAY: &str = "deregistration_delay.timeout_seconds";
const FAIL_OPEN_COUNT: &str = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count";
const FAIL_OPEN_PERCENTAGE: &str =
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage";
/// AWS's default quota of targets per group.
const MOST_TARGETS: u32 = 1000;

/// The keys and defaults that DescribeTargetGroupAttributes returns for an Application Load Balancer.
const DEFAULTS: [(&str, &str); 13] = [
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
    ("target_group_health.dns_failover.minimum_healthy_targets.count", "1"),
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

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
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
        let range = match key {
            DELAY => Some((0, 3600)),
            "slow_start.duration_seconds" if value != "0" => Some((30, 900)),
            FAIL_OPEN_COUNT => Some((1, MOST_TARGETS)),
            FAIL_OPEN_PERCENTAGE if value != "off" => Some((1, 100)),
            _ => None,
        };
        if let Some((least, most)) = range {
            let number = value.parse::<u32>().ok().filter(|number| (least..=most).contains(number));
            if number.is_none() {
                return Err(format!("'{key}' must be between {least} and {most} inclusive"));
            }
        }
        self.0.insert(key.to_owned(), value.to_owned());
        Ok(())
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
