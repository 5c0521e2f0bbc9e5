//! The load generator. It is an open loop: a slow response does not delay the next request.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use reqwest::{Client, StatusCode};
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};

use crate::clock::Clock;

/// How often due requests are sent.
const TICK: Duration = Duration::from_millis(5);
/// The client's time-out, long enough that only a failure of the service exceeds it.
const TIME_OUT: Duration = Duration::from_secs(30);
/// One in this many requests is slow.
const SLOW_EVERY: u64 = 100;
/// Duration of a slow request, in milliseconds: long enough that some are in flight whenever a node reboots.
const SLOW_MS: u64 = 2_000;

/// A request and its result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    /// When it was due, in seconds since the scenario began. A generator that is late makes a response no faster.
    pub due: f64,
    /// Seconds since the scenario began.
    pub ended: f64,
    pub slow: bool,
    pub outcome: Outcome,
}

/// All that was sent, and when.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Load {
    pub rps: u32,
    /// When each request was sent, in seconds since the scenario began.
    pub sent: Vec<f64>,
    /// The results. There is one for each request that was sent.
    pub requests: Vec<Request>,
}

/// The result for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered(StatusCode),
    /// No connection to the load balancer.
    NotConnected,
    /// The connection closed before the response was complete.
    BrokenOff,
    TimedOut,
    /// The generator itself lost it.
    Vanished,
}

impl Outcome {
    pub(crate) fn is_failure(self) -> bool {
        self != Self::Answered(StatusCode::OK)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answered(status) => write!(f, "{}", status.as_u16()),
            Self::NotConnected => f.write_str("not connected"),
            Self::BrokenOff => f.write_str("broken off"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Vanished => f.write_str("vanished"),
        }
    }
}

/// The requests completed so far, for the live view.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    ended: AtomicU64,
    failed: AtomicU64,
}

impl Tally {
    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Relaxed)
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    fn count(&self, outcome: Outcome) {
        self.ended.fetch_add(1, Relaxed);
        if outcome.is_failure() {
            self.failed.fetch_add(1, Relaxed);
        }
    }
}

/// Sends `rps` requests per second to `url` until `stop` is true, then waits for those in flight. In a thread of its own,
/// so that nothing else in this process delays it.
///
/// # Errors
/// The thread cannot be started, or the HTTP client cannot be set up.
pub(crate) fn generate(
    url: String,
    rps: u32,
    clock: Clock,
    tally: Arc<Tally>,
    stop: watch::Receiver<bool>,
) -> io::Result<oneshot::Receiver<reqwest::Result<Load>>> {
    let (ended, load) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let generator = move || {
        // Nobody waits for the result of a rehearsal that was interrupted.
        let _ = ended.send(runtime.block_on(send_all(url, rps, clock, tally, stop)));
    };
    std::thread::Builder::new().name("load".to_owned()).spawn(generator)?;
    Ok(load)
}

async fn send_all(
    url: String,
    rps: u32,
    clock: Clock,
    tally: Arc<Tally>,
    mut stop: watch::Receiver<bool>,
) -> reqwest::Result<Load> {
    let sender = Sender { client: client()?, url: url.into(), clock, tally };
    let mut in_flight = JoinSet::new();
    let mut load = Load { rps, ..Load::default() };
    let mut sent = 0;

    let (began, began_s) = (Instant::now(), clock.now());
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            // An error means that the sender is gone, which also stops the load.
            _ = stop.wait_for(|&stop| stop) => break,
            _ = tick.tick() => {}
        }
        while sent < due(began.elapsed(), rps) {
            sent += 1;
            load.sent.push(clock.now());
            let due = began_s + due_at(sent, rps);
            in_flight.spawn(sender.clone().send(due, sent.is_multiple_of(SLOW_EVERY)));
        }
        while let Some(ended) = in_flight.try_join_next() {
            load.requests.push(ended.unwrap_or_else(|_| sender.vanished()));
        }
    }
    while let Some(ended) = in_flight.join_next().await {
        load.requests.push(ended.unwrap_or_else(|_| sender.vanished()));
    }
    Ok(load)
}

/// When the request of this number is due, in seconds since the load began.
fn due_at(number: u64, rps: u32) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from) / f64::from(rps)
}

/// The number of requests that are due after `elapsed`.
fn due(elapsed: Duration, rps: u32) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).saturating_mul(u64::from(rps)) / 1_000
}

fn client() -> reqwest::Result<Client> {
    // Idle connections are closed long before the load balancer would close them, as clients of an ALB should do.
    Client::builder().no_proxy().timeout(TIME_OUT).pool_idle_timeout(TIME_OUT).build()
}

#[derive(Clone)]
struct Sender {
    client: Client,
    url: Arc<str>,
    clock: Clock,
    tally: Arc<Tally>,
}

impl Sender {
    async fn send(self, due: f64, slow: bool) -> Request {
        let url = if slow { format!("{}/?delay_ms={SLOW_MS}", self.url) } else { format!("{}/", self.url) };
        let outcome = match self.exchange(&url).await {
            Ok(status) => Outcome::Answered(status),
            Err(error) if error.is_timeout() => Outcome::TimedOut,
            Err(error) if error.is_connect() => Outcome::NotConnected,
            Err(_) => Outcome::BrokenOff,
        };
        self.tally.count(outcome);
        Request { due, ended: self.clock.now(), slow, outcome }
    }

    /// A request whose task died. Nothing is known of it but that it was sent.
    fn vanished(&self) -> Request {
        self.tally.count(Outcome::Vanished);
        let now = self.clock.now();
        Request { due: now, ended: now, slow: false, outcome: Outcome::Vanished }
    }

    async fn exchange(&self, url: &str) -> reqwest::Result<StatusCode> {
        let answer = self.client.get(url).send().await?;
        let status = answer.status();
        answer.bytes().await?;
        Ok(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for a condition; a hang is a failure.
    async fn until(condition: impl Fn() -> bool) {
        let wait = async {
            while !condition() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait)
            .await
            .expect("a condition that never came to hold");
    }

    #[test]
    fn the_rate_is_kept_on_average() {
        assert_eq!(due(Duration::ZERO, 200), 0);
        assert_eq!(due(Duration::from_millis(1_005), 200), 201);
        assert_eq!(due(Duration::from_secs(60), 1_000), 60_000);
    }

    #[tokio::test]
    async fn every_request_is_accounted_for_even_those_in_flight_at_the_end() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service =
            hello_service::serve(listener, hello_service::Settings::default(), std::future::pending());
        let service = tokio::spawn(service);
        let (stop, stopped) = watch::channel(false);
        let tally = Arc::new(Tally::default());
        let load = generate(url, 1_000, Clock::start(), tally.clone(), stopped).unwrap();
        // The hundredth request is the first slow one; it is still in flight when the others have ended.
        until(|| tally.ended() >= 150).await;
        stop.send_replace(true);

        let load = load.await.unwrap().unwrap();
        assert_eq!((load.requests.len(), load.requests.len() as u64), (load.sent.len(), tally.ended()));
        assert!(load.requests.iter().any(|request| request.slow && request.ended - request.due > 1.9));
        assert!(load.requests.iter().all(|request| !request.outcome.is_failure()));
        service.abort();
    }

    #[tokio::test]
    async fn a_dead_load_balancer_is_a_failure_and_no_end_of_the_load() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let (stop, stopped) = watch::channel(false);
        let tally = Arc::new(Tally::default());
        let load = generate(url, 1_000, Clock::start(), tally.clone(), stopped).unwrap();
        until(|| tally.failed() >= 10).await;
        stop.send_replace(true);
        let requests = load.await.unwrap().unwrap().requests;
        assert!(requests.iter().all(|request| request.outcome == Outcome::NotConnected), "{requests:?}");
    }
}
