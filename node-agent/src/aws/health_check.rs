//! How the load balancer checks a target, and the same check for the node itself.

use crate::aws::target_group::HealthCheck;
use crate::machine::ports::Probe;
use std::net::IpAddr;
use std::time::Duration;

/// A local check never takes less: a process that was just started answers its first request slowly.
const SHORTEST_CHECK: Duration = Duration::from_secs(1);

impl HealthCheck {
    /// The check of a target at this address, with the headers that the load balancer sends: its name as user agent, and the
    /// address with the port as host, even if that is the default port (user guide, "Health checks for Application Load
    /// Balancer target groups").
    pub fn probe(&self, address: IpAddr, target_port: u16) -> Probe {
        let scheme = if self.https { "https" } else { "http" };
        let host = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        let host = format!("{host}:{}", self.port.unwrap_or(target_port));
        let url = format!("{scheme}://{host}{}", self.path);
        Probe { url, host: Some(host), timeout: self.time_limit() }
    }

    /// The check at a URL of the user's own.
    pub fn probe_at(&self, url: &str) -> Probe {
        Probe { url: url.to_owned(), host: None, timeout: self.time_limit() }
    }

    fn time_limit(&self) -> Duration {
        self.timeout.max(SHORTEST_CHECK)
    }
}

/// Whether an HTTP status passes a matcher such as `200,204` or `200-299`.
pub fn matches_status(matcher: &str, status: u16) -> bool {
    matcher.split(',').any(|part| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        match (low.trim().parse::<u16>(), high.trim().parse::<u16>()) {
            (Ok(low), Ok(high)) => (low..=high).contains(&status),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_check_goes_where_the_load_balancer_looks() {
        let check = |https, port| HealthCheck {
            https,
            http2: false,
            port,
            path: "/healthz".into(),
            timeout: Duration::from_secs(5),
            matcher: "200".into(),
        };
        let probe = check(false, None).probe("10.0.0.7".parse().unwrap(), 80);
        assert_eq!((&*probe.url, probe.host.as_deref()), ("http://10.0.0.7:80/healthz", Some("10.0.0.7:80")));
        let probe = check(true, Some(9)).probe("::1".parse().unwrap(), 8080);
        assert_eq!((&*probe.url, probe.host.as_deref()), ("https://[::1]:9/healthz", Some("[::1]:9")));
        assert_eq!(check(true, None).probe_at("http://localhost/up").host, None);
    }

    #[test]
    fn a_matcher_is_a_list_of_statuses_and_ranges() {
        assert!(matches_status("200", 200));
        assert!(matches_status("200,204", 204));
        assert!(matches_status("200-299", 250));
        assert!(!matches_status("200", 500));
        assert!(!matches_status("", 200));
        assert!(!matches_status("two hundred", 200));
    }
}
