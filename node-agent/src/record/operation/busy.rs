//! How a maintenance under way answers another request.

use super::Operation;
use crate::exit;
use crate::machine::time::Moment;
use crate::record::mailbox::Refused;
use crate::record::phase::{Phase, Stage};
use crate::record::request::Request;

impl Operation {
    /// Whether a request can join this operation. It cannot join a `drain` that is returning to service: its client expects
    /// the node to be out. Nor can it join one that may go on where its own limits would have ended it.
    pub fn may_be_joined_by(&self, request: &Request) -> bool {
        let works = !matches!(self.phase, Phase::Halted | Phase::Drained | Phase::Done);
        let comes_back = self.request.stay_out && self.phase.stage() == Stage::Returning;
        let unbroken = works && !comes_back && self.going_down.is_none();
        unbroken && self.request.same_work(request) && self.is_within_the_limits_of(request)
    }

    /// Whether the limits of this operation are at least as strict. Those that end it before the node leaves do not matter
    /// once it has left.
    fn is_within_the_limits_of(&self, request: &Request) -> bool {
        let (ours, theirs) = (&self.request.settings, &request.settings);
        let window_ends_first = request
            .not_after
            .is_none_or(|limit| self.request.not_after.is_some_and(|our_limit| our_limit <= limit));
        let leaves_in_time = window_ends_first && ours.lease_wait <= theirs.lease_wait;
        (self.left.is_some() || leaves_in_time) && ours.command_limit <= theirs.command_limit
    }

    /// The refusal for a request for other work. The advice depends on whether a driver is running.
    pub fn in_the_way(&self, driven: bool) -> Refused {
        let since = self.began.utc.strftime("%Y-%m-%d %H:%M:%SZ");
        let (what, exit_code) = match self.phase {
            Phase::Halted => {
                let reason = self.failure.as_ref().map(|failure| failure.reason.as_str()).unwrap_or_default();
                (format!("is halted ({reason}); repair it, then run `node-agent resume`"), exit::HALTED)
            }
            Phase::Drained => ("is drained; run `node-agent rejoin` first".to_owned(), exit::NOTHING_CHANGED),
            phase if driven => (
                format!("is at {phase}; wait until it is over (`node-agent status` shows its progress)"),
                exit::NOTHING_CHANGED,
            ),
            phase => (format!("stopped at {phase}; run `node-agent resume` first"), exit::NOTHING_CHANGED),
        };
        Refused { exit_code, reason: format!("an earlier maintenance of this node, started {since}, {what}") }
    }

    /// Whether the node is drained by hand, and its time limit has not passed.
    pub fn stays_drained(&self, now: &Moment) -> bool {
        let limit = self.request.settings.drained_limit.0;
        self.phase == Phase::Drained && self.phase_began.at_least_until(now) < limit
    }
}
