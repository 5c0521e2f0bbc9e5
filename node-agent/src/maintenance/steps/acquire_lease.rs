//! acquire_lease: acquire a slot on every target group, in the order of their ARNs (docs/lease.md).

use crate::lease::policy::Policy;
use crate::lease::queue::{self, BUMP_EVERY, Move, Pace, Standing, Ticket, Watched};
use crate::lease::{Claim, Leases};
use crate::maintenance::context::{Driver, Step, StepError};
use rand::RngExt;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

pub(super) async fn run(driver: &mut Driver) -> Step {
    'all: loop {
        for index in 0..driver.operation.groups.len() {
            if !obtain(driver, index).await? {
                driver.release_all().await?;
                let pause = driver.lease_poll();
                driver.look_again(pause, "for slots in all our target groups").await?;
                continue 'all;
            }
        }
        return Ok(());
    }
}

/// Acquires one slot. False: leases on other groups have been held for too long meanwhile.
async fn obtain(driver: &mut Driver, index: usize) -> Step<bool> {
    let began = Instant::now();
    let mut watched = Watched::default();
    let mut stepped_down = 0;
    loop {
        let Some((leases, policy, tags)) = read(driver, index).await? else { return Ok(true) };
        let now = driver.machine.uptime();
        watched.look(&leases, now);
        let slots = leases.slots(&driver.identity.instance_id, &policy);
        let (registered, ticket) = standing(driver, index);
        let me = driver.identity.instance_id.clone();
        let standing = Standing { me: &me, ticket: ticket.as_ref(), registered, tags };
        let pace = pace(driver);
        let dice = driver.random.random::<f64>();
        let (pause, what) = match queue::next_move(&leases, &policy, standing, &watched, now, &pace, dice) {
            Move::Claim => match claim(driver, index, slots).await? {
                true => return Ok(true),
                false => {
                    stepped_down += 1;
                    let pause = back_off(driver, stepped_down);
                    (pause, "for a free slot: other nodes claimed it at the same time".to_owned())
                }
            },
            Move::Join(number) if driver.queue_up(index, number).await? => {
                (pace.settle, "for our place in the queue to settle".to_owned())
            }
            Move::Join(_) => (
                driver.jittered(pace.outside(registered, slots, leases.last_ticket())),
                "for room for a lease tag".to_owned(),
            ),
            Move::Queue(position, by) => {
                refresh_ticket(driver, index).await?;
                let wait = pace.expected_wait(&leases, &me, position, driver.machine.utc());
                let pause = driver.jittered(pace.queued(position, wait, slots));
                (pause, format!("for a free slot, with {position} ahead of us: held by {by}"))
            }
            Move::Outside(by) => {
                let pause = driver.jittered(pace.outside(registered, slots, leases.last_ticket()));
                (pause, format!("for room in the queue: slots are held by {by}"))
            }
        };
        if queue::gives_back(index > 0, began.elapsed()) {
            return Ok(false);
        }
        driver.look_again(pause, &what).await?;
    }
}

pub(super) fn pace(driver: &Driver) -> Pace {
    let settings = &driver.operation.request.settings;
    let early = settings.in_flight_url.is_some();
    let delay = if early { Duration::ZERO } else { driver.operation.deregistration_delay() };
    // Too short a guess costs reads; too long a guess costs time.
    let shortest = delay.max(settings.drain_floor.0);
    Pace {
        fleet_rate: settings.fleet_rate,
        hold: settings.expected_hold.map_or(shortest, |hold| hold.0),
        settle: settings.settle.0,
        next_in_line: settings.lease_poll.0,
    }
}

fn standing(driver: &Driver, index: usize) -> (usize, Option<Ticket>) {
    let group = driver.operation.groups.get(index);
    let ticket = group.and_then(|group| group.ticket.as_ref());
    let ticket = ticket.map(|t| Ticket { number: t.number, nonce: t.nonce.clone(), sequence: t.sequence });
    (group.map_or(0, |group| group.registered), ticket)
}

/// One read of the group's tags; `None`: the group is gone.
async fn read(driver: &mut Driver, index: usize) -> Step<Option<(Leases, Policy, usize)>> {
    let Some(tags) = driver.group_tags(index).await? else { return Ok(None) };
    let (leases, policy) = parse(&tags)?;
    let may_start = leases.may_start(&driver.identity.instance_id, &policy);
    may_start.map_err(|stopped| StepError::Failed(stopped.to_string()))?;
    Ok(Some((leases, policy, tags.len())))
}

fn parse(tags: &BTreeMap<String, String>) -> Step<(Leases, Policy)> {
    let policy = Policy::from_tags(tags).map_err(|error| StepError::Misconfigured(error.to_string()))?;
    Ok((Leases::from_tags(tags), policy))
}

/// Refreshes our place in the queue: other nodes skip one that does not change.
async fn refresh_ticket(driver: &mut Driver, index: usize) -> Step {
    let now = driver.now()?;
    let ticket = driver.operation.groups.get(index).and_then(|group| group.ticket.clone());
    match ticket {
        Some(ticket) if ticket.written.at_least_until(&now) >= BUMP_EVERY => {
            driver.queue_up(index, ticket.number).await.map(drop)
        }
        _ => Ok(()),
    }
}

/// Writes `held`, waits for it to settle, and checks for other claims. False: stepped down.
async fn claim(driver: &mut Driver, index: usize, slots: u32) -> Step<bool> {
    let (settle, what) = (driver.operation.request.settings.settle.0, "for our claim to settle");
    driver.has_time_to_prove(settle, what)?;
    let nonce = driver.claim_slot(index, slots).await?;
    driver.save()?;
    // Nodes that claim at the same time must be able to see our claim before we read theirs.
    driver.prove(settle, what).await?;

    let Some(tags) = driver.group_tags(index).await? else { return Ok(true) };
    let (leases, policy) = parse(&tags)?;
    match leases.confirm(&driver.identity.instance_id, &nonce, &policy) {
        Claim::Confirmed => return Ok(true),
        Claim::Broken => return Err(StepError::Failed("an operator broke our lease".to_owned())),
        Claim::StepDown(by) => tracing::info!("stepping down: the slots were also claimed by {by}"),
        Claim::NotVisible => tracing::warn!("our claim is gone: something else wrote or removed our tag"),
    }
    step_down(driver, index, &leases).await?;
    Ok(false)
}

/// Returns to the old place in the queue, or to its end.
async fn step_down(driver: &mut Driver, index: usize, leases: &Leases) -> Step {
    let old = driver.operation.groups.get(index).and_then(|group| group.ticket.as_ref());
    let number = old.map_or_else(|| leases.next_ticket(), |ticket| ticket.number);
    driver.queue_up(index, number).await.map(drop)
}

/// A random pause below a bound that starts at twice the settle time and doubles, so that colliding nodes separate.
fn back_off(driver: &mut Driver, times: u32) -> Duration {
    let settle = driver.operation.request.settings.settle.0;
    (settle * 2).saturating_mul(1 << times.min(6)).mul_f64(driver.random.random_range(0.0..=1.0))
}
