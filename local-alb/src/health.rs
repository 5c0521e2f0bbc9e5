//! Health checks: one task per registration, until the registration ends.

use crate::dial::Dial;
use crate::load_balancer::{Inner, LocalAlb};
use crate::model::{NewRegistration, TargetGroup};
use crate::settings::{HealthCheck, Probe, Probes, Script};
use axum::body::Body;
use axum::http::uri::Scheme;
use axum::http::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Longer than any check takes: its own time-out ends it.
const LONGEST_CHECK: Duration = Duration::from_secs(3600);

/// Checks a target until its registration ends or the load balancer is dropped.
async fn check(alb: Weak<Inner>, registration: NewRegistration) {
    let Some((lag, client)) =
        alb.upgrade().map(LocalAlb).map(|alb| (alb.model().settings.propagation_lag, client(&alb)))
    else {
        return;
    };
    sleep(lag).await;
    loop {
        let Some(to_check) = alb.upgrade().and_then(|inner| LocalAlb(inner).to_check(&registration)) else {
            return;
        };
        // From start to start, so that a target that hangs is not checked less often.
        let began = Instant::now();
        let (id, port) = &registration.key;
        let seen = match to_check {
            ToCheck::Ask(script) => script(id, *port),
            ToCheck::Send(address, check) => {
                http_check(&client, &check, SocketAddr::new(address, check.port_for(*port))).await
            }
            ToCheck::Nowhere => Probe::Failed,
        };
        let Some(interval) = alb.upgrade().and_then(|inner| LocalAlb(inner).checked(&registration, seen))
        else {
            return;
        };
        sleep_until(began + interval).await;
    }
}

/// Each check opens its own connection, as an ALB does.
fn client(alb: &LocalAlb) -> Client<Dial, Body> {
    Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(alb.dial().within(LONGEST_CHECK))
}

async fn http_check(client: &Client<Dial, Body>, check: &HealthCheck, to: SocketAddr) -> Probe {
    let scheme = if check.protocol == "HTTPS" { Scheme::HTTPS } else { Scheme::HTTP };
    let uri = Uri::builder().scheme(scheme).authority(to.to_string()).path_and_query(&*check.path).build();
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

/// The parameters of one check.
enum ToCheck {
    Ask(Arc<Script>),
    Send(IpAddr, HealthCheck),
    Nowhere,
}

impl LocalAlb {
    /// Starts the health checks of these registrations in the current tokio runtime.
    pub(crate) fn check_health_of(&self, registrations: Vec<NewRegistration>) {
        for registration in registrations {
            tokio::spawn(check(Arc::downgrade(&self.0), registration));
        }
    }

    /// The next check; `None` once the registration has ended.
    fn to_check(&self, registration: &NewRegistration) -> Option<ToCheck> {
        let model = self.model();
        let NewRegistration { arn, key, registration } = registration;
        let group = model.groups.get(arn)?;
        let target = group.targets.get(key)?;
        if target.registration != *registration || !target.is_registered(Instant::now()) {
            return None;
        }
        Some(match (&model.settings.probes, model.address_of(&key.0)) {
            (Probes::Scripted(script), _) => ToCheck::Ask(script.clone()),
            (Probes::Http, Some(address)) => ToCheck::Send(address, group.settings.health_check.clone()),
            (Probes::Http, None) => ToCheck::Nowhere,
        })
    }

    /// Applies the result of a check. Returns the time until the next check; `None` once the registration has ended.
    fn checked(&self, registration: &NewRegistration, seen: Probe) -> Option<Duration> {
        let mut model = self.model();
        let NewRegistration { arn, key, registration } = registration;
        let TargetGroup { settings, targets, .. } = model.groups.get_mut(arn)?;
        let target = targets.get_mut(key).filter(|target| target.registration == *registration)?;
        let (now, interval) = (Instant::now(), settings.health_check.interval);
        target.checked(now, seen, &settings.health_check);
        model.count_out(now, arn);
        Some(interval)
    }
}
