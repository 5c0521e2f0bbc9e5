//! The next move for given tags.

use super::*;

const PACE: Pace = Pace {
    fleet_rate: 2.0,
    hold: Duration::from_secs(120),
    settle: Duration::from_secs(10),
    next_in_line: Duration::from_secs(4),
};

/// A reader of a group's leases, as a sentence.
struct Reader {
    tags: BTreeMap<String, String>,
    watched: Watched,
    now: Duration,
    ticket: Option<Ticket>,
    registered: usize,
    dice: f64,
}

fn reader(entries: &[(&str, &str)]) -> Reader {
    let tag = |(id, value): &(&str, &str)| (format!("node-agent/lease/{id}"), (*value).to_owned());
    let tags = entries.iter().map(tag).collect();
    let mut reader = Reader {
        tags,
        watched: Watched::default(),
        now: Duration::ZERO,
        ticket: None,
        registered: 3,
        dice: 0.5,
    };
    reader.look();
    reader
}

impl Reader {
    fn look(&mut self) {
        self.watched.look(&Leases::from_tags(&self.tags), self.now);
    }
    fn after(mut self, passed: Duration) -> Reader {
        self.now += passed;
        self.look();
        self
    }
    fn change(mut self, id: &str, value: &str) -> Reader {
        self.tags.insert(format!("node-agent/lease/{id}"), value.to_owned());
        self
    }
    fn with_ticket(mut self, number: u64) -> Reader {
        self.ticket = Some(Ticket { number, nonce: "1".into(), sequence: 0 });
        self
    }
    fn of(mut self, registered: usize) -> Reader {
        self.registered = registered;
        self
    }
    fn moves(&self) -> Move {
        let leases = Leases::from_tags(&self.tags);
        let (ticket, registered, tags) = (self.ticket.as_ref(), self.registered, self.tags.len());
        let standing = Standing { me: "me", ticket, registered, tags };
        next_move(&leases, &Policy::default(), standing, &self.watched, self.now, &PACE, self.dice)
    }
}

#[test]
fn a_small_fleet_claims_a_free_slot_at_once_and_a_large_one_queues() {
    assert_eq!(reader(&[]).moves(), Move::Claim);
    assert_eq!(reader(&[]).of(100).moves(), Move::Join(1));
    assert_eq!(reader(&[("a", "v1 p=held e=1")]).moves(), Move::Join(1));
    assert_eq!(reader(&[("a", "v1 p=waiting e=1 t=7")]).moves(), Move::Join(8));
}

#[test]
fn the_smaller_ticket_goes_first_and_the_id_decides_between_equals() {
    let entries = [("a", "v1 p=waiting e=1 t=5"), ("z", "v1 p=waiting e=1 t=5")];
    assert_eq!(reader(&entries).with_ticket(4).moves(), Move::Claim);
    assert!(matches!(reader(&entries).with_ticket(5).moves(), Move::Queue(0, _)));
    assert!(matches!(reader(&entries).with_ticket(6).moves(), Move::Queue(1, _)));
}

#[test]
fn a_waiting_entry_that_does_not_change_is_skipped() {
    let dead = || reader(&[("a", "v1 p=waiting e=1 t=1 s=0")]).with_ticket(2);
    assert!(matches!(dead().after(DEAD_AFTER - BUMP_EVERY).moves(), Move::Queue(0, _)));
    assert_eq!(dead().after(DEAD_AFTER).moves(), Move::Claim);
    let alive = dead().after(BUMP_EVERY).change("a", "v1 p=waiting e=1 t=1 s=1").after(Duration::ZERO);
    assert!(matches!(alive.after(DEAD_AFTER - BUMP_EVERY).moves(), Move::Queue(0, _)));
}

#[test]
fn no_node_joins_a_full_queue_or_a_group_full_of_tags() {
    let waiting = |count: usize| {
        let ids: Vec<_> = (0..count).map(|number| format!("i-{number}")).collect();
        let entries: Vec<_> = ids.iter().map(|id| (id.as_str(), "v1 p=waiting e=1 t=1")).collect();
        reader(&entries).of(1000)
    };
    assert!(matches!(waiting(LONGEST_QUEUE).moves(), Move::Outside(_)));
    assert!(matches!(waiting(LONGEST_QUEUE - 8).moves(), Move::Join(_)));
    // One place, and ten nodes may see it free: one in ten takes it.
    assert!(matches!(waiting(LONGEST_QUEUE - 1).moves(), Move::Outside(_)));
    let tagged = |tags: usize| {
        let tag = |reader: Reader, number| reader.change(&format!("x{number}"), "v1 p=failed");
        (0..tags).fold(reader(&[]), tag).of(1000).moves()
    };
    assert!(matches!(tagged(MOST_TAGS + 1), Move::Outside(_)));
    assert_eq!(tagged(MOST_TAGS), Move::Join(1));
}

#[test]
fn the_chance_to_join_is_the_room_over_the_rivals_that_cannot_see_each_other() {
    // Two requests a second for half of the 10 s in which an entry is not visible yet: 10 rivals. One place is left.
    let ids: Vec<_> = (1..LONGEST_QUEUE).map(|number| format!("i-{number}")).collect();
    let entries: Vec<_> = ids.iter().map(|id| (id.as_str(), "v1 p=waiting e=1 t=1")).collect();
    let joins = |dice| {
        let reader = Reader { dice, ..reader(&entries).of(1000) };
        matches!(reader.moves(), Move::Join(_))
    };
    assert_eq!([joins(0.099), joins(0.1)], [true, false]);
}

#[test]
fn a_new_ticket_follows_the_nodes_that_wait_not_those_that_have_had_their_turn() {
    let entries = [("a", "v1 p=held e=1 t=90"), ("b", "v1 p=failed e=1 t=80"), ("c", "v1 p=waiting e=1 t=7")];
    assert_eq!(reader(&entries).moves(), Move::Join(8));
}

#[test]
fn the_first_requests_of_a_fleet_are_spread_by_its_rate() {
    // 300 nodes at 2 requests a second, two requests each.
    assert_eq!(PACE.start_spread(300), Duration::from_secs(300));
}

#[test]
fn a_lease_on_one_group_is_held_for_two_minutes_while_the_next_one_is_taken() {
    assert!(!gives_back(true, HOLD_WHILE_WAITING));
    assert!(gives_back(true, HOLD_WHILE_WAITING + Duration::from_millis(1)));
    assert!(!gives_back(false, HOLD_WHILE_WAITING * 2));
}

#[test]
fn a_ticket_that_cannot_be_read_goes_last() {
    assert_eq!(reader(&[("a", "v1 p=waiting e=1 t=soon")]).with_ticket(9).moves(), Move::Claim);
}

#[test]
fn a_ticket_out_of_range_goes_last_and_new_tickets_ignore_it() {
    for ticket in [u64::MAX, u64::MAX - 1, LARGEST_TICKET] {
        let mad = format!("v1 p=waiting e=1 t={ticket}");
        assert_eq!(reader(&[("a", &mad)]).moves(), Move::Join(1));
        assert_eq!(reader(&[("a", &mad), ("b", "v1 p=waiting e=1 t=7")]).moves(), Move::Join(8));
        assert_eq!(reader(&[("a", &mad)]).with_ticket(8).moves(), Move::Claim);
    }
}

#[test]
fn the_expected_wait_is_what_is_left_of_the_holds_ahead() {
    let reader = reader(&[
        ("a", "v1 p=held e=1 at=2026-01-01T00:00:00Z"),
        ("b", "v1 p=held e=1 at=2026-01-01T00:01:00Z"),
    ]);
    let leases = Leases::from_tags(&reader.tags);
    let now: Timestamp = "2026-01-01T00:01:40Z".parse().unwrap();
    let wait = |position| PACE.expected_wait(&leases, "me", position, now).as_secs();
    assert_eq!([wait(0), wait(1), wait(2)], [30, 90, 160]);
    // A clock that is hours behind or ahead costs one read.
    assert_eq!(PACE.expected_wait(&leases, "me", 0, Timestamp::UNIX_EPOCH).as_secs(), 130);
    assert_eq!(PACE.expected_wait(&leases, "me", 0, Timestamp::MAX).as_secs(), 0);
}

#[test]
fn the_next_node_reads_often_and_a_later_one_seldom() {
    let queued = |position, wait, slots| PACE.queued(position, Duration::from_secs(wait), slots).as_secs();
    assert_eq!(queued(0, 0, 1), 1);
    assert_eq!(queued(0, 0, 10), 4);
    assert_eq!(queued(0, 100, 1), 4);
    assert_eq!(queued(1, 40, 1), 20);
    assert_eq!(queued(9, 1800, 1), 60);
}

#[test]
fn a_node_outside_the_queue_reads_more_often_as_the_roll_goes_on() {
    let outside = |registered, slots, last| PACE.outside(registered, slots, last).as_secs();
    assert_eq!([outside(1000, 10, 0), outside(1000, 10, 700), outside(1000, 10, 990)], [1000, 975, 104]);
    assert_eq!(outside(3, 10, 0), 104);
    // Tickets of an earlier roll may be larger than this fleet.
    assert_eq!(outside(1000, 10, u64::MAX), 104);
}
