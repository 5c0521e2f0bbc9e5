//! The queue for a slot: thinned, fair, and without comparing clocks. It carries no safety, only order; any node may
//! claim at any time and docs/lease.md still holds.

use super::{LeaseState, LeaseTag, Leases, Reading, Slot};
use crate::lease::policy::Policy;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// Up to this many registered targets a node claims a free slot without queueing, if nobody waits.
pub const SMALL_FLEET: usize = 30;
/// Nobody joins while more wait.
pub const LONGEST_QUEUE: usize = 16;
/// Nobody joins while the group has more tags: the holders need room, and so does the owner.
pub const MOST_TAGS: usize = 42;
/// A waiting entry that a reader has seen unchanged for this long, by its own clock, is taken for dead.
pub const DEAD_AFTER: Duration = Duration::from_secs(360);
/// So a living one changes more often than that.
pub const BUMP_EVERY: Duration = Duration::from_secs(120);
/// No queue that only we wrote to gets this far. A larger ticket was written by somebody else: it goes last, as it says,
/// and nobody counts on from it, so that it is forgotten with its tag.
pub const LARGEST_TICKET: u64 = 1_000_000_000;
/// A lease on one group is held this long while waiting for the next.
pub const HOLD_WHILE_WAITING: Duration = Duration::from_secs(120);

/// How much of the expected wait passes until the next look.
const OF_THE_WAIT: f64 = 0.5;

/// And how much of the expected rest of a roll passes until a node outside the queue looks again.
const OF_THE_ROLL: f64 = 0.25;

/// How fast a fleet may ask, and how long a node is out.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Requests per second that the nodes outside the queue make together.
    pub fleet_rate: f64,
    /// How long a node keeps its slot, about.
    pub hold: Duration,
    /// From a write to the read that shows it.
    pub settle: Duration,
    /// Between two looks of the node that is next.
    pub next_in_line: Duration,
}

/// Our place in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Smaller goes first; the instance id decides between equals.
    pub number: u64,
    /// The entry's nonce.
    pub nonce: String,
    /// Raised to show that we live.
    pub sequence: u64,
}

/// What to do next about a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// One is free, and it is our turn.
    Claim,
    /// Join the queue with this number.
    Join(u64),
    /// Wait in the queue with so many before us that no slot is left; the holders, for people.
    Queue(usize, String),
    /// Stay outside for now; the holders, for people.
    Outside(String),
}

/// Where the reader stands.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The reader.
    pub me: &'a str,
    /// Its own place, if it has one.
    pub ticket: Option<&'a Ticket>,
    /// Targets registered in the group.
    pub registered: usize,
    /// All tags of the group.
    pub tags: usize,
}

/// What one reader has seen of the waiting entries: their values, and since when they are unchanged on its own clock.
#[derive(Debug, Clone, Default)]
pub struct Watched(BTreeMap<String, (Reading, Duration)>);

impl Watched {
    /// Takes in one read, made at `now` on the reader's clock.
    pub fn look(&mut self, leases: &Leases, now: Duration) {
        let waiting = leases.iter().filter(|(_, reading)| reading.state() == Some(LeaseState::Waiting));
        let seen = waiting.map(|(id, reading)| {
            let before = self.0.get(id).filter(|(value, _)| value == reading);
            (id.to_owned(), (reading.clone(), before.map_or(now, |(_, since)| *since)))
        });
        self.0 = seen.collect();
    }

    /// Waiting entries that still count, as (number, id).
    fn living<'a>(&'a self, me: &'a str, now: Duration) -> impl Iterator<Item = (u64, &'a str)> {
        let living =
            move |(_, (_, since)): &(&String, &(Reading, Duration))| now.saturating_sub(*since) < DEAD_AFTER;
        self.0.iter().filter(move |(id, _)| *id != me).filter(living).filter_map(|(id, (reading, _))| {
            match reading {
                Reading::Tag(tag) => Some((tag.ticket, id.as_str())),
                Reading::Unreadable(_) => None,
            }
        })
    }
}

/// What to do now. `dice` is uniform in 0..1; it decides whether to join, so that those outside do not all join at once
/// on one stale read.
pub fn next_move(
    leases: &Leases,
    policy: &Policy,
    standing: Standing<'_>,
    watched: &Watched,
    now: Duration,
    pace: &Pace,
    dice: f64,
) -> Move {
    let Standing { me, ticket, registered, tags } = standing;
    let slots = leases.slots(me, policy) as usize;
    let holders = leases.other_holders(me).count();
    let taken_by = match leases.slot(me, policy) {
        Slot::Taken(by) => by,
        Slot::Free => "nobody, but others are before us".to_owned(),
    };
    let living = watched.living(me, now);
    match ticket {
        Some(ticket) => {
            let before = living.filter(|other| *other < (ticket.number, me)).count();
            match (before + holders).checked_sub(slots) {
                None => Move::Claim,
                Some(position) => Move::Queue(position, taken_by),
            }
        }
        None => {
            let waiting = living.count();
            if waiting == 0 && holders < slots && registered <= SMALL_FLEET {
                return Move::Claim;
            }
            let room = LONGEST_QUEUE.saturating_sub(waiting);
            // How many others look before our entry is to be seen.
            let rivals = (pace.fleet_rate * pace.settle.as_secs_f64() / 2.0).max(1.0);
            if tags > MOST_TAGS || room == 0 || dice >= as_f64(room) / rivals {
                return Move::Outside(taken_by);
            }
            Move::Join(leases.next_ticket())
        }
    }
}

/// Whether to give back the leases that we hold on other groups, having waited so long for this one: nodes whose
/// groups overlap in another order would wait for each other for ever.
pub fn gives_back(holds_others: bool, waited: Duration) -> bool {
    holds_others && waited > HOLD_WHILE_WAITING
}

impl Leases {
    /// The largest number that anybody waits with. Without a clock: whoever joins now comes after all it can see.
    pub(crate) fn last_ticket(&self) -> u64 {
        let ticket = |(_, reading): (&str, &Reading)| match reading {
            Reading::Tag(tag) if tag.state == LeaseState::Waiting => Some(tag.ticket),
            _ => None,
        };
        self.iter().filter_map(ticket).filter(|ticket| *ticket < LARGEST_TICKET).max().unwrap_or(0)
    }

    /// The number of whoever joins now.
    pub(crate) fn next_ticket(&self) -> u64 {
        self.last_ticket().saturating_add(1)
    }

    /// Those who wait, the next one first.
    pub fn queue(&self) -> Vec<&str> {
        let mut waiting: Vec<_> = self
            .iter()
            .filter_map(|(id, reading)| match reading {
                Reading::Tag(tag) if tag.state == LeaseState::Waiting => Some((tag.ticket, id)),
                _ => None,
            })
            .collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, id)| id).collect()
    }
}

impl Pace {
    /// A fleet that is told all at once spreads its first requests over this long. A start takes several.
    pub fn start_spread(&self, registered: usize) -> Duration {
        self.sweep(registered) * 2
    }

    /// How long a fleet takes to make one request each.
    fn sweep(&self, registered: usize) -> Duration {
        seconds(as_f64(registered) / self.fleet_rate)
    }

    /// Between two looks from outside the queue, whose last ticket has this number. Nobody is needed before half the
    /// queue has been served. Later everybody looks a few times in the time that those ahead will take: tickets count
    /// who has had a turn, so that is known about, and the looks of a fleet keep up with its turns, and no more.
    pub fn outside(&self, registered: usize, slots: u32, last_ticket: u64) -> Duration {
        let turn = (self.settle + self.hold) / slots.max(1);
        let served = usize::try_from(last_ticket).unwrap_or(usize::MAX);
        let ahead = turn.mul_f64(as_f64(registered.saturating_sub(served)) * OF_THE_ROLL);
        // Not all that are registered need take part.
        let longest = self.sweep(registered) * 2;
        let queue = turn.mul_f64(as_f64(LONGEST_QUEUE) / 2.0);
        ahead.min(longest).max(queue).max(Duration::from_secs(30))
    }

    /// Between two looks when a slot is expected to come free after `wait`: a part of that, so that the looks get closer
    /// as the time comes.
    pub fn queued(&self, position: usize, wait: Duration, slots: u32) -> Duration {
        let shortest = self.next_in_line.min(Duration::from_secs(1) * slots.max(1));
        // Whoever is next must not oversleep when a hold is shorter than expected.
        let longest = if position == 0 { self.next_in_line } else { Duration::from_secs(60) };
        wait.mul_f64(OF_THE_WAIT).clamp(shortest, longest.max(shortest))
    }

    /// When a slot may come free for a node with this many in the way. Clocks are compared here, and only here: the
    /// worst that a wrong one does is a look too many or a late one.
    pub fn expected_wait(&self, leases: &Leases, me: &str, position: usize, now: Timestamp) -> Duration {
        let hold = self.settle + self.hold;
        let remaining = |(_, reading): (&str, &Reading)| match reading {
            Reading::Tag(LeaseTag { at: Some(at), .. }) => {
                hold.saturating_sub(Duration::try_from(now.duration_since(*at)).unwrap_or_default())
            }
            _ => Duration::ZERO,
        };
        let mut remaining: Vec<_> = leases.other_holders(me).map(remaining).collect();
        remaining.sort_unstable();
        let Some(place) = position.checked_rem(remaining.len()) else { return Duration::ZERO };
        let turns = u32::try_from(position / remaining.len()).unwrap_or(u32::MAX);
        remaining.get(place).copied().unwrap_or_default() + hold.saturating_mul(turns)
    }
}

/// A fleet that asks as seldom as this asks seldom enough.
const SLOWEST_SWEEP: Duration = Duration::from_secs(7 * 24 * 3600);

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).map_or(SLOWEST_SWEEP, |length| length.min(SLOWEST_SWEEP))
}

/// Counts here are far below what a float holds exactly.
fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
