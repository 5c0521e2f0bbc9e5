//! The attributes of a target group: AWS's keys and defaults, checked where this stand-in acts on them.

use std::collections::BTreeMap;
use std::time::Duration;

const DELAY: &str = "deregistration_delay.timeout_seconds";

/// Keys and defaults as DescribeTargetGroupAttributes lists them for an Application Load Balancer.
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
    ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1"),
    ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off"),
];

/// The attributes of one group.
#[derive(Debug, Clone)]
pub(crate) struct Attributes(BTreeMap<String, String>);

impl Attributes {
    pub(crate) fn new(set: &BTreeMap<String, String>) -> Attributes {
        let defaults = DEFAULTS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let mut all: BTreeMap<_, _> = defaults.collect();
        all.extend(set.clone());
        Attributes(all)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }

    /// How long a deregistered target is shown as draining, in whole seconds as on AWS.
    pub(crate) fn deregistration_delay(&self) -> Duration {
        let seconds = self.0.get(DELAY).and_then(|value| value.parse().ok());
        Duration::from_secs(seconds.unwrap_or(300))
    }

    /// Sets one attribute.
    ///
    /// # Errors
    /// What is wrong: a key that does not exist or a value out of range.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        if !self.0.contains_key(key) {
            return Err(format!("Target group attribute key '{key}' is not recognized"));
        }
        let range = match key {
            DELAY => Some((0, 3600)),
            "slow_start.duration_seconds" if value != "0" => Some((30, 900)),
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
        let mut attributes = Attributes::new(&BTreeMap::new());
        assert_eq!(attributes.deregistration_delay(), Duration::from_secs(300));
        assert_eq!(attributes.set(DELAY, "60"), Ok(()));
        assert_eq!(attributes.deregistration_delay(), Duration::from_secs(60));
        assert!(attributes.set(DELAY, "3601").is_err());
        assert!(attributes.set("slow_start.duration_seconds", "5").is_err());
        assert!(attributes.set("nonsense", "1").is_err());
    }
}
