//! The points where a driver can be stopped, and what it does wrong on its way past them.
//!
//! Nobody lists the points: every durable write, every API call and every order to the machine passes here and counts
//! itself. So a new step cannot be forgotten.

use crate::trouble::{STALENESS, Trouble};
use local_alb::LocalAlb;
use node_agent::record::Record;
use node_agent::record::disk::{Disk, LocalDisk};
use node_agent::record::phase::Phase;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// One point of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Point {
    /// The record has been written.
    Wrote,
    /// An API call is about to be made.
    Before(String),
    /// It is on the wire: it will be applied, some time after its sender has died.
    OnTheWire(String),
    /// It has been applied, its answer has not been looked at.
    After(String),
    /// The command has begun.
    CommandBegun,
    /// It has ended, nobody knows yet.
    CommandEnded,
    /// The reboot is about to be asked for.
    BeforeReboot,
    /// The machine is going down.
    AfterReboot,
}

/// The driver was stopped here.
#[derive(Debug)]
pub struct Stopped;

/// What happens at a call, by its number.
pub type Meddle = Box<dyn FnOnce(&LocalAlb, &str) + Send>;

#[derive(Default)]
struct State {
    passed: Vec<Point>,
    /// The phases that were on record.
    phases: Vec<Phase>,
    /// Stop when this one is.
    last_phase: Option<Phase>,
    /// Stop at these, counted over the whole run, in this order.
    stops: Vec<usize>,
    calls: Vec<(String, Instant)>,
    meddles: Vec<(usize, Meddle)>,
    deregistered: Vec<usize>,
    registered: Vec<usize>,
    happened: Vec<Trouble>,
    /// The first write that fails, counted from 0.
    full_from: Option<usize>,
    writes: usize,
    wrong: Vec<String>,
}

/// Counts, stops and meddles.
#[derive(Clone, Default)]
pub struct Points(Arc<Mutex<State>>);

impl Points {
    pub fn new() -> Points {
        Points::default()
    }

    /// Stop there, and again at the later ones.
    pub fn stopping_at(stops: &[usize]) -> Points {
        let points = Points::new();
        points.state().stops = stops.to_vec();
        points
    }

    /// Stop as soon as this phase is on record.
    pub fn stopping_in(phase: Phase) -> Points {
        let points = Points::new();
        points.state().last_phase = Some(phase);
        points
    }

    /// Before the call of this number something happens.
    pub fn meddle(&self, call: usize, meddle: Meddle) {
        self.state().meddles.push((call, meddle));
    }

    /// From this write on the disk is full.
    pub fn fill_disk(&self, from: usize) {
        self.state().full_from = Some(from);
    }

    /// Somebody has made room.
    pub fn clear_disk(&self) {
        self.state().full_from = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a point; true when the driver is to die here.
    pub fn is_last(&self, point: Point) -> bool {
        let mut state = self.state();
        let number = state.passed.len();
        state.passed.push(point);
        let last = state.stops.first() == Some(&number);
        if last {
            state.stops.remove(0);
        }
        last
    }

    /// Counts a point, and dies there if it is the one.
    pub fn pass(&self, point: Point) {
        if self.is_last(point) {
            Points::stop();
        }
    }

    /// Unwinds to [`until_stopped`], without a message.
    pub fn stop() -> ! {
        resume_unwind(Box::new(Stopped))
    }

    /// A call begins. What is to happen to it happens.
    pub fn call(&self, alb: &LocalAlb, action: &str) {
        let due: Vec<(usize, Meddle)> = {
            let mut state = self.state();
            let number = state.calls.len();
            let (due, rest) =
                std::mem::take(&mut state.meddles).into_iter().partition(|(at, _)| *at == number);
            state.meddles = rest;
            state.calls.push((action.to_owned(), Instant::now()));
            due
        };
        for (_, meddle) in due {
            meddle(alb, action);
        }
    }

    /// A rule was broken.
    pub fn wrong(&self, what: String) {
        self.state().wrong.push(what);
    }

    pub fn wrongs(&self) -> Vec<String> {
        self.state().wrong.clone()
    }

    /// How many points there were.
    pub fn passed(&self) -> Vec<Point> {
        self.state().passed.clone()
    }

    /// Every phase that was on record.
    pub fn phases(&self) -> Vec<Phase> {
        self.state().phases.clone()
    }

    /// Notes the phase of a record. True when the driver is to die here.
    fn is_last_phase(&self, record: &[u8]) -> bool {
        let record: Option<Record> = serde_json::from_slice(record).ok();
        let phase = record.and_then(|record| record.operation).map(|operation| operation.phase);
        let mut state = self.state();
        let Some(phase) = phase.filter(|phase| !state.phases.contains(phase)) else { return false };
        state.phases.push(phase);
        state.last_phase == Some(phase)
    }

    /// The calls so far.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.iter().map(|(action, _)| action.clone()).collect()
    }

    pub fn writes(&self) -> usize {
        self.state().writes
    }

    /// A trouble has begun.
    pub fn happens(&self, trouble: Trouble) {
        let mut state = self.state();
        state.happened.push(trouble);
        let call = state.calls.len().saturating_sub(1);
        if trouble == Trouble::Deregistered {
            state.deregistered.push(call);
        }
        if trouble.is_registration() {
            state.registered.push(call);
        }
    }

    /// Those that have.
    pub fn happened(&self) -> Vec<Trouble> {
        self.state().happened.clone()
    }

    /// Somebody else has moved our target or our tag, so that their state proves nothing any more.
    pub fn is_meddled(&self) -> bool {
        self.state().happened.iter().any(|trouble| trouble.is_foreign_hand())
    }

    /// Before somebody else deregistered our target, the driver had done so itself.
    pub fn had_left_before_deregistered(&self) -> bool {
        let state = self.state();
        let before = &state.calls[..state.deregistered.first().copied().unwrap_or(0)];
        before.iter().any(|(call, _)| call == "DeregisterTargets")
    }

    /// Since somebody else registered the node, it has looked at target health and could see it.
    pub fn could_see_registered(&self) -> bool {
        let state = self.state();
        let Some(first) = state.registered.first() else { return false };
        let looked = state.calls.iter().skip(*first).any(|(call, _)| call == "DescribeTargetHealth");
        looked && !state.happened.contains(&Trouble::Stale)
    }

    /// Since then, it has looked at target health and could see it.
    pub fn could_see_deregistered(&self) -> bool {
        let state = self.state();
        let since = &state.calls[state.deregistered.last().copied().unwrap_or(0)..];
        let Some((_, at)) = since.first() else { return false };
        let stale = if state.happened.contains(&Trouble::Stale) { STALENESS } else { Duration::ZERO };
        since.iter().any(|(call, when)| call == "DescribeTargetHealth" && *when >= *at + stale)
    }
}

/// The disk: each write is a point, and it may be full.
pub struct PointDisk(pub Points);

impl std::fmt::Debug for PointDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PointDisk")
    }
}

impl Disk for PointDisk {
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let full = {
            let mut state = self.0.state();
            let number = state.writes;
            state.writes += 1;
            state.full_from.is_some_and(|from| number >= from)
        };
        if full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        LocalDisk.replace(path, content)?;
        self.0.pass(Point::Wrote);
        if self.0.is_last_phase(content) {
            Points::stop();
        }
        Ok(())
    }
}

/// Polls a driver until it ends, or until it is stopped in its tracks.
pub async fn until_stopped<F: Future>(driver: F) -> Result<F::Output, Stopped> {
    let mut driver = pin!(driver);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| driver.as_mut().poll(context))) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(payload) if payload.is::<Stopped>() => Poll::Ready(Err(Stopped)),
        Err(payload) => resume_unwind(payload),
    })
    .await
}
