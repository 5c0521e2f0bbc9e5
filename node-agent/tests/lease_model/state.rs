//! The whole world at one moment: every node, its tag, what is still under way, and what may still go wrong.

use crate::tag::{EPOCHS, NO_CLAIM, Tag, Tags};

/// No fleet of the model has more nodes.
pub const MOST_NODES: usize = 4;

/// What a node is writing into its tag, until the write is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Intent {
    Queue,
    Claim,
    Release,
    Halt,
}

/// What the record says of leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Leave {
    NotYet,
    /// `out` went on record with a lease that was found in the tag.
    Found,
    /// `out` is on record, and no DeregisterTargets.
    OnRecord,
    /// A DeregisterTargets is on record that was answered, or may have taken effect.
    Sent,
}

/// The phase on record of a node whose agent is down. Claim, ticket and unresolved requests are the node's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Record {
    /// The file is gone, and the machine has booted: nothing else loses it.
    Lost,
    /// In the queue, or with a claim that is not confirmed.
    Acquiring,
    /// With a claim that is confirmed; out, or not yet.
    Deregistering,
    Out,
    Returning,
    Registered,
    Releasing,
    Halted,
}

/// Where a node is in the protocol. Nothing forces a step, so every pause of any length is covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum At {
    Idle,
    Queued,
    Writing(Intent),
    /// `held` is acknowledged; the first S: old values of our key may still be read, and old target health.
    Settling,
    /// The rest of D: whoever validated without seeing us leaves, and is seen to have left.
    SettlingOn,
    /// Settled; the read that confirms is due.
    Settled,
    /// Confirmed; everything slow is done, the validation is due.
    Confirmed,
    /// `out` is on record, DeregisterTargets is due: the first, or another after one without an answer.
    Leaving,
    /// DeregisterTargets is on record as sent, and its answer is due.
    Deregistering,
    /// Deregistered; the look after is due.
    Left,
    Out,
    Returning,
    /// Registered; waits to be seen healthy.
    Registered,
    /// Seen healthy, or never out: the lease is given back as soon as no DeregisterTargets can land any more.
    InService,
    Halted,
    Down(Record),
    /// `out` is on record and a new process goes on in the same boot: to be validated again.
    Revalidating,
    /// Started without a record; true: Q has passed since the boot.
    Restarted(bool),
    Terminated,
}

/// One node, with the part of the target group that is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    pub at: At,
    /// The tag as it is.
    pub tag: Tag,
    /// Values that it had, and that a read may still show.
    pub older: Tags,
    /// Those among them that no read shows once our settle has ended.
    pub fading: Tags,
    /// Writes given up on that may still land.
    pub late: Tags,
    pub late_deregister: bool,
    /// Registered and healthy.
    pub in_service: bool,
    /// A read of target health may still show us healthy though we are not.
    pub health_stale: bool,
    /// A tag write is on record whose outcome is unknown.
    pub unresolved_tag: bool,
    pub unresolved_deregister: bool,
    pub leave: Leave,
    /// The claim: its nonce, and the K that it was made under.
    pub epoch: u8,
    pub k: u8,
    /// The last command failed.
    pub failed: bool,
    /// Nodes that have to be seen to have left before our settle, or its first part, ends (a set of bits).
    pub awaits: u8,
}

impl Node {
    pub const NEW: Node = Node {
        at: At::Idle,
        tag: Tag::Absent,
        older: Tags::EMPTY,
        fading: Tags::EMPTY,
        late: Tags::EMPTY,
        late_deregister: false,
        in_service: true,
        health_stale: false,
        unresolved_tag: false,
        unresolved_deregister: false,
        leave: Leave::NotYet,
        epoch: NO_CLAIM,
        k: 0,
        failed: false,
        awaits: 0,
    };

    pub fn visible(&self) -> impl Iterator<Item = Tag> {
        let mut seen = self.older;
        seen.insert(self.tag);
        seen.iter()
    }

    pub fn has_requests_under_way(&self) -> bool {
        !self.late.is_empty() || self.late_deregister || self.unresolved_tag || self.unresolved_deregister
    }

    /// Out because of us, or booting in a slot of ours. What a terminated instance lacks is nobody's maintenance.
    pub fn is_out(&self) -> bool {
        !self.in_service && self.at != At::Terminated
    }

    /// Forgets what nobody asks for any more, so that there are fewer states. What was sent makes a difference only while
    /// leaving. Later only a restart, or the look after a wiped lease, asks whether `out` is on record.
    pub fn forget_what_was_sent(&mut self, asked_for_out: bool) {
        match self.at {
            At::Leaving | At::Deregistering | At::Left | At::Revalidating => (),
            At::Down(Record::Deregistering) => (),
            At::Down(_) => self.leave = self.leave.min(Leave::OnRecord),
            _ if asked_for_out => self.leave = self.leave.min(Leave::OnRecord),
            _ => self.leave = Leave::NotYet,
        }
    }

    /// Replaces the tag's value; the old one may still be read.
    pub fn set_tag(&mut self, tag: Tag) {
        if tag != self.tag {
            self.older.insert(self.tag);
            self.fading.remove(self.tag);
            self.older.remove(tag);
            self.tag = tag;
        }
    }
}

/// An operator waits twice D: in the first part the break becomes visible; in the second whoever validated without
/// seeing it leaves, and is seen to have left; in the third so does whoever took the stale health of those for good.
pub const BREAK_PARTS: u8 = 2;

/// An operator in the middle of `lease break`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Breaking {
    pub node: u8,
    /// Values that no read shows once the operator's settle has ended.
    pub fading: Tags,
    /// Parts of the wait that are over, of [`BREAK_PARTS`].
    pub part: u8,
    pub awaits: u8,
}

/// How often each thing may still go wrong, or be done by people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Budget {
    pub crashes: u8,
    /// How many of the crashes may lose the record.
    pub records_lost: u8,
    pub lost_answers: u8,
    /// Answered requests of which a retry is still under way, unknown to the agent.
    pub hidden_retries: u8,
    pub wipes: u8,
    /// Leases that somebody turns into tags that take no slot.
    pub turns: u8,
    /// Waits that end without what was waited for.
    pub give_ups: u8,
    pub breaks: u8,
    pub failures: u8,
    pub halts: u8,
    pub terminations: u8,
    pub changes_of_k: u8,
    /// Claims in all; counted only where reads are snapshots of any age.
    pub claims: u8,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub nodes: [Node; MOST_NODES],
    pub breaking: Option<Breaking>,
    /// The tag node-agent/max-unavailable.
    pub k: u8,
    /// Another value of it that may still be read.
    pub older_k: Option<u8>,
    pub left: Budget,
    /// All tags together as they once were, where reads show such snapshots.
    pub past: Vec<u32>,
    /// A node that is out has given up its lease itself.
    pub freed_while_out: bool,
}

impl State {
    pub fn new(k: u8, left: Budget) -> State {
        State {
            nodes: [Node::NEW; MOST_NODES],
            breaking: None,
            k,
            older_k: None,
            left,
            past: Vec::new(),
            freed_while_out: false,
        }
    }

    /// All tags in one number.
    pub fn tags(&self) -> u32 {
        self.nodes.iter().rev().fold(0, |tags, node| tags << 8 | u32::from(node.tag.code()))
    }

    /// Nodes that have validated, or left without being seen everywhere to have left.
    pub fn on_their_way(&self) -> u8 {
        self.which(|node| matches!(node.at, At::Leaving | At::Deregistering) || node.health_stale)
    }

    /// Nodes that have left without being seen everywhere to have left.
    pub fn unseen(&self) -> u8 {
        self.which(|node| node.health_stale)
    }

    fn which(&self, what: impl Fn(&Node) -> bool) -> u8 {
        (0..MOST_NODES).filter(|n| what(&self.nodes[*n])).fold(0, |set, n| set | 1 << n)
    }

    /// Numbers one node's nonces anew: only whether two are the same makes a difference. The claim has the first, the
    /// others follow by where they are found.
    pub fn put_nonces_in_order(&mut self, n: usize) {
        let breaking = self.breaking.as_mut().filter(|breaking| usize::from(breaking.node) == n);
        let mut none = Tags::EMPTY;
        let broken = breaking.map_or(&mut none, |breaking| &mut breaking.fading);
        let node = &mut self.nodes[n];
        let mut sets = [Tags::of(node.tag), node.older, node.fading, node.late, *broken];
        let all = sets.iter().fold(Tags::EMPTY, |all, set| all.with(*set));
        let mut others: Vec<_> = all
            .epochs()
            .filter(|epoch| *epoch != node.epoch)
            .map(|epoch| (sets.map(|set| set.ks(epoch)), epoch))
            .collect();
        others.sort_unstable();
        let claim = (node.epoch != NO_CLAIM).then_some(node.epoch);
        let mut names = [NO_CLAIM; EPOCHS as usize];
        for (name, old) in (0..).zip(claim.into_iter().chain(others.into_iter().map(|(_, epoch)| epoch))) {
            names[usize::from(old)] = name;
        }
        if names.iter().zip(0..).all(|(name, old)| [old, NO_CLAIM].contains(name)) {
            return;
        }
        sets.iter_mut().for_each(|set| *set = set.renamed(&names));
        node.tag = node.tag.renamed(&names);
        [_, node.older, node.fading, node.late, *broken] = sets;
        node.epoch = claim.map_or(NO_CLAIM, |_| 0);
    }

    /// The same world with its nodes in order: which node is which makes no difference.
    pub fn sorted(mut self, fleet: usize) -> State {
        let mut order: [usize; MOST_NODES] = [0, 1, 2, 3];
        let nodes = self.nodes;
        let target = self.breaking.map(|breaking| usize::from(breaking.node));
        order[..fleet].sort_by_key(|n| (nodes[*n], target == Some(*n)));
        if order == [0, 1, 2, 3] {
            return self;
        }
        let moved =
            |set: u8| (0..MOST_NODES).filter(|n| set & 1 << order[*n] != 0).fold(0, |s, n| s | 1 << n);
        for (place, from) in order.iter().enumerate() {
            self.nodes[place] = Node { awaits: moved(nodes[*from].awaits), ..nodes[*from] };
        }
        if let Some(breaking) = &mut self.breaking {
            breaking.awaits = moved(breaking.awaits);
            let place = order.iter().position(|from| Some(*from) == target);
            breaking.node = place.unwrap_or_default() as u8;
        }
        self
    }
}
