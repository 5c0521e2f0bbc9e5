//! A maintenance under way, and what a new process makes of it.

use super::{GoingDown, Group, PhaseRun, RebootWhen, Request, Verdict};
use crate::phase::{Course, Outcome, Phase};
use crate::time::Moment;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// More boots than this in one operation: something reboots the machine again and again.
const MOST_BOOTS: u32 = 3;

/// A maintenance under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// What was asked for.
    pub request: Request,
    /// Other requests for the same work, which end as this one does.
    #[serde(default)]
    pub also: Vec<String>,
    /// The phase to do next, or again.
    pub phase: Phase,
    /// When the operation began.
    pub began: Moment,
    /// When the phase began, for its time limit; anew after a reboot.
    pub phase_began: Moment,
    /// When the phase was entered, for people; a reboot within does not change it.
    pub phase_entered: Timestamp,
    /// The phases that ended.
    pub history: Vec<PhaseRun>,
    /// Our target groups, by ARN; empty until they are found.
    pub groups: Vec<Group>,
    /// `out` is on record: from here on a DeregisterTargets may have been sent.
    pub out: bool,
    /// It was so at some time, whatever became of it.
    #[serde(default)]
    pub was_out: bool,
    /// The Auto Scaling group that is asked to take us out and to bring us back; `None`: we do it ourselves.
    #[serde(default)]
    pub standby: Option<Standby>,
    /// How far the command is.
    pub command: CommandState,
    /// The reboot that was asked for.
    pub reboot: Option<RebootAsked>,
    /// How many boots this operation has seen.
    pub boots: u32,
    /// How often somebody else registered us while out, or deregistered us on the way back.
    pub interferences: u32,
    /// How often we were blocked before leaving.
    pub blocked: u32,
    /// Why it did not go as asked: the first reason counts.
    pub failure: Option<Failure>,
    /// The machine goes down by somebody else's will: it ends at the drain, and the next boot goes on.
    #[serde(default)]
    pub going_down: Option<GoingDown>,
    /// Leaves whatever the others do, and without a lease if it has none: the machine goes down either way.
    #[serde(default)]
    pub forced: bool,
}

/// The way out of service by an Auto Scaling group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standby {
    /// The group's name.
    pub group: String,
    /// When EnterStandby was acknowledged, or was first seen to have been applied.
    pub entered: Option<Moment>,
}

/// Why a maintenance did not go as asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Where.
    pub phase: Phase,
    /// Why, and what to do.
    pub reason: String,
    /// Only a change of the configuration helps.
    pub configuration: bool,
}

/// How far the command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandState {
    /// Not begun.
    NotRun,
    /// Begun; if nobody is there to see its end, it counts as failed.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended well, and asks for a reboot (exit code 194).
    RebootNeeded,
    /// Ended badly, or nobody saw its end.
    Failed,
}

/// A reboot that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebootAsked {
    /// When, and in which boot.
    pub at: Moment,
    /// How often.
    pub times: u32,
}
impl Operation {
    /// An operation that has not begun.
    pub fn new(request: Request, now: Moment) -> Operation {
        Operation {
            request,
            also: Vec::new(),
            phase: Phase::CheckGroup,
            phase_began: now.clone(),
            phase_entered: now.utc,
            began: now,
            history: Vec::new(),
            groups: Vec::new(),
            out: false,
            was_out: false,
            standby: None,
            command: CommandState::NotRun,
            reboot: None,
            boots: 0,
            interferences: 0,
            blocked: 0,
            failure: None,
            going_down: None,
            forced: false,
        }
    }

    /// A new process takes it up, perhaps after a boot. Before `out` that means giving up: whoever asked is gone,
    /// and nobody leaves service hours later. Halted means looking again: a person or a boot asks for it.
    /// [`crate::lease::quarantine::restart`] has the rule for the lease.
    pub fn take_up(&mut self, now: &Moment) {
        let booted = !self.phase_began.same_boot(now);
        if booted {
            self.boots = self.boots.saturating_add(1);
            // Time limits count anew: the boot itself is nobody's fault.
            self.phase_began = now.clone();
        }
        let looping = booted && self.boots > MOST_BOOTS;
        // A slot is given back only by a node that is in service, and nobody has looked since the process died.
        let holds = self.live_groups().any(|group| group.claim.is_some());
        let give_back = if holds && booted { Phase::WaitInService } else { Phase::ReleaseLease };
        let (next, why) = match self.phase {
            _ if self.going_down.take().is_some() && self.out && !looping => {
                let undone = !self.request.command.is_empty() && self.command == CommandState::NotRun;
                let why = if undone { "the machine went down before the command was run" } else { "" };
                (Phase::CheckHealth, why)
            }
            Phase::CheckGroup | Phase::AcquireLease => (give_back, "stopped before the node left service"),
            Phase::Deregister if !self.out => (give_back, "stopped before the node left service"),
            Phase::ReleaseLease if holds && (booted || self.out) => (Phase::WaitInService, ""),
            Phase::Deregister if booted && !looping => {
                (Phase::CheckHealth, "the machine rebooted while the node left service")
            }
            // A boot looks again after a halt, but what boots again and again waits for a person.
            Phase::Halted if looping => return,
            Phase::Drained | Phase::Halted => (Phase::CheckHealth, ""),
            phase if self.boots > MOST_BOOTS && phase < Phase::Done => (
                Phase::Halted,
                "the machine booted more than 3 times in one maintenance; find out what reboots it",
            ),
            _ => return,
        };
        if !why.is_empty() {
            let failure =
                Failure { phase: self.phase, reason: format!("{}: {why}", self.phase), configuration: false };
            if next == Phase::Halted {
                self.history.push(PhaseRun {
                    phase: self.phase,
                    outcome: Outcome::Failed,
                    began: self.phase_entered,
                    seconds: now.utc.duration_since(self.phase_entered).as_secs_f64().max(0.0),
                    reason: Some(why.to_owned()),
                });
            }
            self.failure.get_or_insert(failure);
        }
        self.enter(next, now.clone());
    }

    /// Whether a request is done by this operation.
    pub fn answers(&self, id: &str) -> bool {
        self.request.id == id || self.also.iter().any(|also| also == id)
    }

    /// Enters a phase: its time limit counts from now.
    pub fn enter(&mut self, phase: Phase, now: Moment) {
        self.phase = phase;
        self.phase_entered = now.utc;
        self.phase_began = now;
    }

    /// What its way through the phases depends on.
    pub fn course(&self) -> Course {
        let changed = self.command != CommandState::NotRun || self.boots > 0;
        Course { out: self.out, stay_out: self.request.stay_out, changed }
    }

    /// Out, or giving up: from here it ends in service, or halted.
    pub fn has_to_come_back(&self) -> bool {
        self.out || self.phase > Phase::Deregister
    }

    /// Whether a phase has nothing to do in this operation.
    pub fn not_asked_for(&self, phase: Phase) -> bool {
        match phase {
            Phase::AcquireLease => self.forced,
            Phase::RunCommand => self.request.command.is_empty(),
            Phase::Reboot => {
                self.request.reboot == RebootWhen::Never && self.command != CommandState::RebootNeeded
            }
            _ => false,
        }
    }

    /// The group at a place in the list, unless it was deleted.
    pub fn live_group(&mut self, index: usize) -> Option<&mut Group> {
        self.groups.get_mut(index).filter(|group| !group.gone)
    }

    /// The groups that still exist.
    pub fn live_groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(|group| !group.gone)
    }

    /// The longest deregistration delay of our groups.
    pub fn deregistration_delay(&self) -> Duration {
        self.live_groups().map(|group| group.attributes.deregistration_delay).max().unwrap_or_default()
    }

    /// The longest slow start of our groups.
    pub fn slow_start(&self) -> Duration {
        self.live_groups().map(|group| group.attributes.slow_start).max().unwrap_or_default()
    }

    /// Why it halted: what happened last, or else first.
    pub fn why_halted(&self) -> String {
        let last = self.history.iter().rev().find_map(|run| run.reason.clone());
        last.or_else(|| self.failure.as_ref().map(|failure| failure.reason.clone())).unwrap_or_default()
    }

    /// How it has gone so far.
    pub fn verdict(&self) -> Verdict {
        match (self.was_out, &self.failure) {
            (false, _) => Verdict::NothingChanged,
            (true, None) => Verdict::Succeeded,
            (true, Some(_)) => Verdict::FailedButRestored,
        }
    }

    /// The exit code that goes with the verdict.
    pub fn exit_code(&self) -> u8 {
        match self.verdict() {
            Verdict::Succeeded => crate::exit::DONE,
            Verdict::FailedButRestored => crate::exit::FAILED,
            Verdict::NothingChanged if self.failure.as_ref().is_some_and(|f| f.configuration) => {
                crate::exit::USAGE
            }
            Verdict::NothingChanged => crate::exit::NOTHING_CHANGED,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::settings::Settings;

    /// An operation that has not begun.
    pub(crate) fn operation() -> Operation {
        let request =
            Request { reboot: RebootWhen::Always, ..Request::new("one".into(), Settings::default()) };
        let now = Moment { boot_id: "boot".into(), uptime_ms: 0, utc: Timestamp::UNIX_EPOCH };
        Operation::new(request, now)
    }

    fn failed(configuration: bool) -> Option<Failure> {
        Some(Failure { phase: Phase::CheckGroup, reason: "no".into(), configuration })
    }

    #[test]
    fn the_exit_code_follows_the_verdict() {
        let code = |was_out, failure| Operation { was_out, failure, ..operation() }.exit_code();
        assert_eq!(code(true, None), 0);
        assert_eq!(code(true, failed(false)), 1);
        assert_eq!(code(false, failed(false)), 75);
        assert_eq!(code(false, failed(true)), 2);
    }

    #[test]
    fn taken_up_before_out_it_gives_up_and_after_out_it_goes_on() {
        let later = |boot: &str| Moment { boot_id: boot.into(), uptime_ms: 5, utc: Timestamp::UNIX_EPOCH };
        let taken_up = |phase, out, boot: &str| {
            let mut operation = Operation { phase, out, was_out: out, ..operation() };
            operation.take_up(&later(boot));
            operation.phase
        };
        assert_eq!(taken_up(Phase::AcquireLease, false, "boot"), Phase::ReleaseLease);
        assert_eq!(taken_up(Phase::Deregister, false, "boot"), Phase::ReleaseLease);
        assert_eq!(taken_up(Phase::Deregister, true, "boot"), Phase::Deregister);
        assert_eq!(taken_up(Phase::Deregister, true, "another"), Phase::CheckHealth);
        assert_eq!(taken_up(Phase::Reboot, true, "another"), Phase::Reboot);
        assert_eq!(taken_up(Phase::Halted, true, "boot"), Phase::CheckHealth);
    }

    #[test]
    fn a_machine_that_boots_again_and_again_is_halted() {
        let mut operation = Operation { phase: Phase::CheckHealth, out: true, was_out: true, ..operation() };
        for boot in ["second", "third", "fourth", "fifth"] {
            assert_eq!(operation.phase, Phase::CheckHealth);
            operation.take_up(&Moment { boot_id: boot.into(), uptime_ms: 1, utc: Timestamp::UNIX_EPOCH });
        }
        assert_eq!(operation.phase, Phase::Halted);
        assert!(operation.why_halted().contains("booted more than 3 times"), "{operation:?}");
        let boot = |id: &str| Moment { boot_id: id.into(), uptime_ms: 1, utc: Timestamp::UNIX_EPOCH };
        operation.take_up(&boot("sixth"));
        assert_eq!(operation.phase, Phase::Halted);
        // Shut down in good order each time, it is the same.
        operation.goes_down(GoingDown::Reboot, boot("sixth"));
        operation.take_up(&boot("seventh"));
        assert_eq!((operation.phase, operation.going_down), (Phase::Halted, None));
        // A person has found out why.
        operation.take_up(&boot("seventh"));
        assert_eq!(operation.phase, Phase::CheckHealth);
    }

    #[test]
    fn a_command_that_a_shutdown_forestalled_is_a_failure_and_a_reboot_is_not() {
        let after = |command: Vec<String>| {
            let mut operation = Operation { phase: Phase::Drain, out: true, was_out: true, ..operation() };
            operation.request.command = command;
            operation.going_down = Some(GoingDown::Reboot);
            operation.take_up(&Moment { boot_id: "next".into(), uptime_ms: 1, utc: Timestamp::UNIX_EPOCH });
            (operation.phase, operation.verdict())
        };
        assert_eq!(after(Vec::new()), (Phase::CheckHealth, Verdict::Succeeded));
        assert_eq!(after(vec!["patch".into()]), (Phase::CheckHealth, Verdict::FailedButRestored));
    }
}
