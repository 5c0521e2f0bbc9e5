//! The queue for a slot: short, fair, and without comparing clocks. It only provides order. Safety does not depend on it:
//! any node may claim at any time (docs/lease.md).

use super::{LeaseState, LeaseTag, Leases, Reading, Slot};
use crate::lease::policy::Policy;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// In a group of at most this many targets, a node claims a free slot without queueing if no node waits.
pub const SMALL_FLEET: usize = 30;
/// No node joins while this many wait.
pub const LONGEST_QUEUE: usize = 16;
/// No node joins while the group has more tags than this: the holders need room, and so does the owner.
pub const MOST_TAGS: usize = 42;
/// A reader ignores a waiting entry that it has seen unchanged for this long, by its own clock.
pub const DEAD_AFTER: Duration = Duration::from_secs(360);
/// A waiting node changes its entry this often.
pub const BUMP_EVERY: Duration = Duration::from_secs(120);
/// Agents alone never reach this ticket. A larger one was written by something else: it goes last, and new tickets do not
/// count from it.
pub const LARGEST_TICKET: u64 = 1_000_000_000;
/// A lease on one group is held this long while waiting for the next.
pub const HOLD_WHILE_WAITING: Duration = Duration::from_secs(120);

/// The next read comes after this part of the expected wait.
const OF_THE_WAIT: f64 = 0.5;

/// A node outside the queue reads again after this part of the expected rest of the roll.
const OF_THE_ROLL: f64 = 0.25;

/// How fast a fleet may send requests, and how long a node is out.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Requests per second that the nodes outside the queue make together.
    pub fleet_rate: f64,
    /// How long a node keeps its slot, approximately.
    pub hold: Duration,
    /// From a write to the read that shows it.
    pub settle: Duration,
    /// Time between two reads by the node that is next.
    pub next_in_line: Duration,
}

/// Our place in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Smaller goes first; the instance id decides between equals.
    pub number: u64,
    /// The entry's nonce.
    pub nonce: String,
    /// Grows to show that the agent is alive.
    pub sequence: u64,
}

/// What to do next about a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// A slot is free, and it is our turn.
    Claim,
    /// Join the queue with this number.
    Join(u64),
    /// Wait in the queue: how many more are ahead of us than slots come free, and the holders, for people.
    Queue(usize, String),
    /// Stay outside the queue for now; the holders, for people.
    Outside(String),
}

/// The state of the reader.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The reader.
    pub me: &'a str,
    /// Its place in the queue, if it has one.
    pub ticket: Option<&'a Ticket>,
    /// Targets registered in the group.
    pub registered: usize,
    /// All tags of the group.
    pub tags: usize,
}

/// The waiting entries that one reader has seen: their values, and since when each is unchanged, by its own clock.
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

/// What to do now. `dice` is uniform in 0..1 and decides whether to join, so that nodes with the same stale read do not all
/// join at once.
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
        Slot::Free => "no node, but others are ahead of us".to_owned(),
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
            // How many other nodes read before our entry is visible.
            let rivals = (pace.fleet_rate * pace.settle.as_secs_f64() / 2.0).max(1.0);
            if tags > MOST_TAGS || room == 0 || dice >= as_f64(room) / rivals {
                return Move::Outside(taken_by);
            }
            Move::Join(leases.next_ticket())
        }
    }
}

/// Whether to release the leases that we hold on other groups after waiting this long for one more. Nodes whose groups
/// overlap in another order would otherwise wait for each other for ever.
pub fn gives_back(holds_others: bool, waited: Duration) -> bool {
    holds_others && waited > HOLD_WHILE_WAITING
}

impl Leases {
    /// The largest ticket in the queue.
    pub(crate) fn last_ticket(&self) -> u64 {
        let ticket = |(_, reading): (&str, &Reading)| match reading {
            Reading::Tag(tag) if tag.state == LeaseState::Waiting => Some(tag.ticket),
            _ => None,
        };
        self.iter().filter_map(ticket).filter(|ticket| *ticket < LARGEST_TICKET).max().unwrap_or(0)
    }

    /// The ticket for a node that joins now: after all that it can see, without comparing clocks.
    pub(crate) fn next_ticket(&self) -> u64 {
        self.last_ticket().saturating_add(1)
    }

    /// The waiting nodes, the next one first.
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
    /// A fleet that starts all at once spreads its first requests over this long. A start takes several requests.
    pub fn start_spread(&self, registered: usize) -> Duration {
        self.sweep(registered) * 2
    }

    /// How long a fleet takes to make one request each.
    fn sweep(&self, registered: usize) -> Duration {
        seconds(as_f64(registered) / self.fleet_rate)
    }

    /// Time between two reads from outside the queue, whose last ticket is given. No new entry is needed before half the
    /// queue has been served. After that, a node reads a few times during the turns that are still ahead. The last ticket
    /// tells roughly how many nodes have had their turn.
    pub fn outside(&self, registered: usize, slots: u32, last_ticket: u64) -> Duration {
        let turn = (self.settle + self.hold) / slots.max(1);
        let served = usize::try_from(last_ticket).unwrap_or(usize::MAX);
        let ahead = turn.mul_f64(as_f64(registered.saturating_sub(served)) * OF_THE_ROLL);
        // Not every registered node has to take part.
        let longest = self.sweep(registered) * 2;
        let queue = turn.mul_f64(as_f64(LONGEST_QUEUE) / 2.0);
        ahead.min(longest).max(queue).max(Duration::from_secs(30))
    }

    /// Time between two reads when a slot should come free after `wait`: a part of it, so that the reads become more
    /// frequent towards the end.
    pub fn queued(&self, position: usize, wait: Duration, slots: u32) -> Duration {
        let shortest = self.next_in_line.min(Duration::from_secs(1) * slots.max(1));
        // The node that is next must not miss a slot that comes free early.
        let longest = if position == 0 { self.next_in_line } else { Duration::from_secs(60) };
        wait.mul_f64(OF_THE_WAIT).clamp(shortest, longest.max(shortest))
    }

    /// When a slot may come free for a node at this position. Only here are clocks compared: a wrong clock costs a read too
    /// many, or a late one.
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

/// The longest time that a fleet spreads its requests over.
const SLOWEST_SWEEP: Duration = Duration::from_secs(7 * 24 * 3600);

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).map_or(SLOWEST_SWEEP, |length| length.min(SLOWEST_SWEEP))
}

/// The counts here are small enough for a float to hold exactly.
fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
