//! Health checks and the in-flight count over HTTP.

use crate::machine::causes::causes;
use crate::machine::ports::{Probe, Service, ServiceError};
use async_trait::async_trait;
use reqwest::header::{HOST, USER_AGENT};
use std::time::Duration;

/// How long the in-flight count may take.
const IN_FLIGHT_TIMEOUT: Duration = Duration::from_secs(2);

/// The name under which the load balancer checks health. Some services answer nobody else (ALB user guide, "Health checks for
/// Application Load Balancer target groups").
const HEALTH_CHECKER: &str = "ELB-HealthChecker/2.0";

/// The longest count that is accepted, in bytes.
const LONGEST_COUNT: usize = 64;

/// The service of this node.
#[derive(Debug)]
pub struct HttpService {
    client: reqwest::Client,
}

impl HttpService {
    /// A client that checks as the load balancer does: it does not verify certificates (an ALB does not either), does not
    /// follow redirects, and opens a new connection for each check.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn new() -> Result<HttpService, ServiceError> {
        let client = reqwest::Client::builder()
            .danger_accept_invalid_certs(true)
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .no_proxy()
            .user_agent(concat!("node-agent/", env!("CARGO_PKG_VERSION")))
            .build();
        client.map(|client| HttpService { client }).map_err(|error| ServiceError(causes(&error)))
    }
}

#[async_trait]
impl Service for HttpService {
    async fn probe(&self, probe: &Probe) -> Result<u16, ServiceError> {
        let request = self.client.get(&probe.url).timeout(probe.timeout).header(USER_AGENT, HEALTH_CHECKER);
        let request = match &probe.host {
            Some(host) => request.header(HOST, host),
            None => request,
        };
        let answer = request.send().await;
        answer.map(|answer| answer.status().as_u16()).map_err(failed)
    }

    async fn in_flight(&self, url: &str) -> Result<u64, ServiceError> {
        let get = async {
            let mut answer =
                self.client.get(url).timeout(IN_FLIGHT_TIMEOUT).send().await?.error_for_status()?;
            let mut text = Vec::new();
            if !answer.status().is_success() {
                // The body of a redirect is not the count.
                return Ok(text);
            }
            // In pieces, so that an endless body is not read.
            while let Some(piece) = answer.chunk().await?
                && text.len() <= LONGEST_COUNT
            {
                text.extend_from_slice(&piece);
            }
            Ok(text)
        };
        let text = get.await.map_err(failed)?;
        let text = std::str::from_utf8(&text).ok().filter(|text| text.len() <= LONGEST_COUNT);
        let count = text.and_then(|text| text.trim().parse().ok());
        count.ok_or_else(|| {
            ServiceError(format!("the answer of {} is not a whole number", without_user_info(url)))
        })
    }
}

/// Who prints it names the URL, without its password.
fn failed(error: reqwest::Error) -> ServiceError {
    ServiceError(causes(&error.without_url()))
}

/// A URL without user name and password, for people.
pub fn without_user_info(url: &str) -> String {
    let Ok(mut parsed) = reqwest::Url::parse(url) else { return "a URL that cannot be read".to_owned() };
    if parsed.username().is_empty() && parsed.password().is_none() {
        return url.to_owned();
    }
    // Only a URL without a host has none to remove.
    let _ = parsed.set_username("").and_then(|()| parsed.set_password(None));
    parsed.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        assert_eq!(without_user_info("http://ops:secret@10.0.0.7/up?all"), "http://10.0.0.7/up?all");
        assert_eq!(without_user_info("https://token@host:8443/"), "https://host:8443/");
        assert_eq!(without_user_info("http://localhost:8080"), "http://localhost:8080");
    }
}
