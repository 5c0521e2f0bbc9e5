//! Health checks and the in-flight count over HTTP.

use crate::machine::causes::causes;
use crate::machine::ports::{Service, ServiceError};
use async_trait::async_trait;
use std::time::Duration;

/// How long the in-flight count may take.
const IN_FLIGHT_TIMEOUT: Duration = Duration::from_secs(2);

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
    async fn probe(&self, url: &str, timeout: Duration) -> Result<u16, ServiceError> {
        let answer = self.client.get(url).timeout(timeout).send().await;
        answer.map(|answer| answer.status().as_u16()).map_err(|error| ServiceError(causes(&error)))
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
        let text = get.await.map_err(|error: reqwest::Error| ServiceError(causes(&error)))?;
        let text = std::str::from_utf8(&text).ok().filter(|text| text.len() <= LONGEST_COUNT);
        let count = text.and_then(|text| text.trim().parse().ok());
        count.ok_or_else(|| ServiceError(format!("the answer of {url} is not a whole number")))
    }
}
