//! The steps that the world can take, in words.

use crate::decisions::{Answer, id};
use crate::state::BREAK_PARTS;
use crate::tag::Tag;
use std::fmt;

/// One step of one node, or done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Action {
    pub node: u8,
    pub step: Step,
}

/// What a node restarts after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum After {
    Crash,
    Boot,
    /// The last of so many boots in one maintenance that no other is put up with.
    TooManyBoots,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    Claim { k: u8 },
    Join,
    RemoveGhost,
    Acknowledged,
    AcknowledgedTwice,
    NoAnswer,
    SettledHalf,
    Settled,
    SettleCut,
    GiveUp,
    Confirm(Answer),
    Validate(Answer),
    ReadsTooOld,
    Send,
    Deregistered,
    DeregisteredTwice,
    Rejected,
    DeregisterNoAnswer { landed: bool },
    TurnBack,
    PostCheck(Answer),
    Done { failed: bool },
    Halt,
    Resume,
    Register,
    Back,
    Release,
    Keep { answered: bool },
    Crash { in_flight: bool, record_lost: bool },
    Restart { after: After },
    RestartWithoutRecord { healthy: bool },
    TagLands(Tag),
    DeregisterLands,
    QPasses,
    HealthSeen,
    Terminate { in_flight: bool },
    Collect,
    Clear,
    Wipe,
    Turn(Tag),
    Break,
    BreakSettles { part: u8 },
    ChangeK,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = id(self.node);
        match self.step {
            Step::Claim { k } => write!(f, "{node} begins a claim with K {k}"),
            Step::Join => write!(f, "{node} begins to queue"),
            Step::RemoveGhost => write!(f, "{node} finds a lease that it knows nothing of"),
            Step::Acknowledged => write!(f, "{node}'s tag write is acknowledged"),
            Step::AcknowledgedTwice => {
                write!(f, "{node}'s tag write is acknowledged, a retry of it is still under way")
            }
            Step::NoAnswer => write!(f, "{node}'s tag write gets no answer"),
            Step::SettledHalf => write!(f, "{node}'s claim is visible to all"),
            Step::Settled => write!(f, "{node}'s claim has settled"),
            Step::SettleCut => write!(f, "{node}'s time is over before its claim has settled"),
            Step::GiveUp => write!(f, "{node} gives up: its time is over"),
            Step::Confirm(Answer::Yes { .. }) => write!(f, "{node} reads, and confirms its claim"),
            Step::Confirm(Answer::Broken) => write!(f, "{node} reads that its lease is broken, and gives up"),
            Step::Confirm(_) => write!(f, "{node} reads, and steps down"),
            Step::Validate(Answer::Yes { .. }) => write!(f, "{node} validates, and puts `out` on record"),
            Step::Validate(_) => write!(f, "{node} validates, and gives up"),
            Step::ReadsTooOld => write!(f, "{node} is slow, and has to validate again"),
            Step::Send => write!(f, "{node} puts DeregisterTargets on record, and sends it"),
            Step::Rejected => write!(f, "{node}'s DeregisterTargets is rejected"),
            Step::Deregistered => write!(f, "{node} is deregistered"),
            Step::DeregisteredTwice => write!(f, "{node} is deregistered, a retry of it is still under way"),
            Step::DeregisterNoAnswer { landed: true } => {
                write!(f, "{node} is deregistered and does not hear of it")
            }
            Step::DeregisterNoAnswer { landed: false } => {
                write!(f, "{node}'s DeregisterTargets gets no answer")
            }
            Step::TurnBack => write!(f, "{node} turns back"),
            Step::PostCheck(Answer::Yes { .. }) => write!(f, "{node} looks again, and all is well"),
            Step::PostCheck(_) => write!(f, "{node} looks again, and turns back at once"),
            Step::Done { failed: false } => write!(f, "{node}'s command succeeds"),
            Step::Done { failed: true } => write!(f, "{node}'s command fails"),
            Step::Halt => write!(f, "{node} halts"),
            Step::Resume => write!(f, "{node} is resumed"),
            Step::Register => write!(f, "{node} is registered again"),
            Step::Back => write!(f, "{node} is seen healthy"),
            Step::Release => write!(f, "{node} begins to release"),
            Step::Keep { answered: true } => write!(f, "{node} writes its lost lease again"),
            Step::Keep { answered: false } => {
                write!(f, "{node} writes its lost lease again, and gets no answer")
            }
            Step::Crash { in_flight, record_lost } => {
                let request = if in_flight { " with a request under way" } else { "" };
                let record = if record_lost { " and loses its record" } else { "" };
                write!(f, "{node} crashes{request}{record}")
            }
            Step::Restart { after: After::Crash } => write!(f, "{node} goes on from its record"),
            Step::Restart { after: After::Boot } => write!(f, "{node} goes on from its record after a boot"),
            Step::Restart { after: After::TooManyBoots } => {
                write!(f, "{node} goes on from its record after too many boots")
            }
            Step::RestartWithoutRecord { healthy: true } => {
                write!(f, "{node} starts without a record, healthy")
            }
            Step::RestartWithoutRecord { healthy: false } => {
                write!(f, "{node} starts without a record, not healthy")
            }
            Step::TagLands(Tag::Absent) => write!(f, "{node}'s late RemoveTags lands"),
            Step::TagLands(tag) => write!(f, "{node}'s late `{}` lands", tag.value().unwrap_or_default()),
            Step::DeregisterLands => write!(f, "{node}'s late DeregisterTargets lands"),
            Step::QPasses => write!(f, "Q passes for {node}"),
            Step::HealthSeen => write!(f, "all see that {node} is out"),
            Step::Terminate { .. } => write!(f, "{node} is terminated"),
            Step::Collect => write!(f, "the tag of the terminated {node} is collected"),
            Step::Clear => write!(f, "an operator clears {node}'s failure"),
            Step::Wipe => write!(f, "somebody wipes all leases"),
            Step::Turn(tag) => {
                write!(f, "somebody turns {node}'s lease into `{}`", tag.value().unwrap_or_default())
            }
            Step::Break => write!(f, "an operator breaks {node}'s lease"),
            Step::BreakSettles { part: 1 } => write!(f, "the break of {node}'s lease is visible to all"),
            Step::BreakSettles { part } => {
                write!(f, "the break of {node}'s lease settles, part {part} of {BREAK_PARTS}")
            }
            Step::ChangeK => write!(f, "the owner changes K"),
        }
    }
}
