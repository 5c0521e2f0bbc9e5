//! Health checks: one task for each registration, as long as it lasts.

use crate::LocalAlb;
use crate::model::NewRegistration;
use crate::settings::{HealthCheck, Probe, Probes};
use axum::body::Body;
use axum::http::uri::Scheme;
use axum::http::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::net::{IpAddr, SocketAddr};
use tokio::time::{Instant, sleep, timeout};

/// Checks a registration until it ends or the load balancer is dropped.
pub(crate) async fn check(alb: std::sync::Weak<crate::Inner>, registration: NewRegistration) {
    let Some(lag) = alb.upgrade().map(|inner| LocalAlb(inner).model().settings.propagation_lag) else {
        return;
    };
    sleep(lag).await;
    let client = client();
    loop {
        let Some((probes, check, address)) =
            alb.upgrade().and_then(|inner| LocalAlb(inner).to_check(&registration))
        else {
            return;
        };
        let NewRegistration { id, port, .. } = &registration;
        let seen = match probes {
            Probes::Scripted(script) => script(id, *port),
            Probes::Http => match address {
                Some(address) => {
                    http_check(&client, &check, SocketAddr::new(address, check.port_for(*port))).await
                }
                None => Probe::Failed,
            },
        };
        let Some(inner) = alb.upgrade() else { return };
        LocalAlb(inner).checked(&registration, seen);
        sleep(check.interval).await;
    }
}

/// Connections are not kept: each check makes its own, as the load balancer's nodes do.
fn client() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(HttpConnector::new())
}

async fn http_check(client: &Client<HttpConnector, Body>, check: &HealthCheck, to: SocketAddr) -> Probe {
    let uri =
        Uri::builder().scheme(Scheme::HTTP).authority(to.to_string()).path_and_query(&*check.path).build();
    let Ok(uri) = uri else { return Probe::Failed };
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = uri;
    request.headers_mut().insert("user-agent", axum::http::HeaderValue::from_static("ELB-HealthChecker/2.0"));
    match timeout(check.timeout, client.request(request)).await {
        Ok(Ok(answer)) => Probe::Status(answer.status().as_u16()),
        Ok(Err(_)) => Probe::Failed,
        Err(_) => Probe::TimedOut,
    }
}

impl LocalAlb {
    /// What to check, and where; `None` once the registration is over.
    fn to_check(&self, registration: &NewRegistration) -> Option<(Probes, HealthCheck, Option<IpAddr>)> {
        let model = self.model();
        let NewRegistration { arn, id, port, registration } = registration;
        let group = model.groups.get(arn)?;
        let target = group.targets.get(&(id.clone(), *port))?;
        if target.registration != *registration || !target.is_registered(Instant::now()) {
            return None;
        }
        Some((model.settings.probes.clone(), group.settings.health_check.clone(), model.address_of(id)))
    }

    fn checked(&self, registration: &NewRegistration, seen: Probe) {
        let mut model = self.model();
        let NewRegistration { arn, id, port, registration } = registration;
        let Some(group) = model.groups.get_mut(arn) else { return };
        let check = group.settings.health_check.clone();
        if let Some(target) =
            group.targets.get_mut(&(id.clone(), *port)).filter(|t| t.registration == *registration)
        {
            target.checked(Instant::now(), seen, &check);
        }
    }
}
