//! A maintenance under way, and how events change it.

mod busy;

use super::command::CommandState;
use super::finished::{PhaseRun, Verdict};
use super::group::Group;
use super::in_doubt::InDoubt;
use super::reboot_asked::RebootAsked;
use super::request::{RebootWhen, Request};
use super::turned_back::TurnedBack;
use crate::machine::systemd::GoingDown;
use crate::machine::time::Moment;
use crate::record::phase::{self, Event, Facts, NoSuchWay, Outcome, Phase, Stage, Why};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A maintenance under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// The request.
    pub request: Request,
    /// Other requests for this work, which end with this operation.
    #[serde(default)]
    pub also: Vec<String>,
    /// The phase to run next, or again.
    pub phase: Phase,
    /// When the operation began.
    pub began: Moment,
    /// When the phase began, for its time limit; reset by a reboot.
    pub phase_began: Moment,
    /// When the phase was entered, for people; not reset by a reboot.
    pub phase_entered: Timestamp,
    /// The phases that ended.
    pub history: Vec<PhaseRun>,
    /// Our target groups, by ARN; empty until they are found.
    pub groups: Vec<Group>,
    /// When the node entered `deregister`: from there on it may have left. `None` again if it turned back before it sent
    /// anything.
    pub left: Option<Moment>,
    /// The Auto Scaling group that takes us out and brings us back; `None`: we do it ourselves.
    #[serde(default)]
    pub standby: Option<Standby>,
    /// The progress of the command.
    pub command: CommandState,
    /// The scope in which the command was started, until it has ended: a driver that finds it on record has died meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The reboot that was requested, unless it was refused.
    pub reboot: Option<RebootAsked>,
    /// How many boots happened during this operation.
    pub boots: u32,
    /// How often something else registered us while out, or deregistered us on the way back.
    pub interferences: u32,
    /// How often we were blocked before leaving.
    pub blocked: u32,
    /// Somebody registered us while the command was running, and we deregistered again: a drain comes before the reboot.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drain_again: bool,
    /// When the node had first drained, for the time limit of `drained`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained: Option<Moment>,
    /// Why it does not succeed: the first reason counts.
    pub failure: Option<Failure>,
    /// A shutdown that this maintenance did not request: the operation stops after the drain, and the next boot continues.
    #[serde(default)]
    pub going_down: Option<GoingDown>,
    /// Leaves without regard to other nodes, with or without a lease: the machine goes down in any case.
    #[serde(default)]
    pub forced: bool,
}

/// Standby in an Auto Scaling group, as the way out of service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standby {
    /// The group's name.
    pub group: String,
    /// When EnterStandby was acknowledged, or was first seen to have been applied.
    pub entered: Option<Moment>,
    /// EnterStandby calls without an answer.
    #[serde(default)]
    pub in_doubt: InDoubt,
}

/// Why a maintenance did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The phase that failed.
    pub phase: Phase,
    /// Why, and what to do.
    pub reason: String,
    /// The configuration has to be changed.
    pub configuration: bool,
    /// Why it was cancelled, if nothing failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turned_back: Option<TurnedBack>,
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
            left: None,
            standby: None,
            command: CommandState::NotRun,
            scope: None,
            reboot: None,
            boots: 0,
            interferences: 0,
            blocked: 0,
            drain_again: false,
            drained: None,
            failure: None,
            going_down: None,
            forced: false,
        }
    }

    /// Whether this operation carries out a request.
    pub fn answers(&self, id: &str) -> bool {
        self.ids().any(|own| own == id)
    }

    /// The ids of all requests that end with this operation.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.request.id).chain(&self.also).map(String::as_str)
    }

    /// Applies an event: changes the phase, and notes why. The caller writes the record.
    ///
    /// # Errors
    /// [`NoSuchWay`] when the event is impossible in this phase; nothing has changed then.
    pub fn apply(&mut self, event: Event, now: &Moment) -> Result<(), NoSuchWay> {
        self.apply_with_look(event, false, now)
    }

    /// As [`Operation::apply`], for a caller that has looked whether the node is `registered` in a target group.
    ///
    /// # Errors
    /// As [`Operation::apply`].
    pub fn apply_with_look(&mut self, event: Event, registered: bool, now: &Moment) -> Result<(), NoSuchWay> {
        let booted = event == Event::Restarted { booted: true };
        let boots = self.boots.saturating_add(u32::from(booted && self.phase != Phase::Drained));
        let next = phase::next(self.phase, event, &Facts { registered, boots, ..self.facts(now) })?;
        self.boots = boots;
        match event {
            Event::Restarted { .. } => self.going_down = None,
            Event::GoesDown(how) => self.going_down = Some(how),
            Event::Ended(_) | Event::WantedBack => (),
        }
        if booted {
            // The time limit restarts: the boot itself does not count.
            self.phase_began = now.clone();
            if let Some(asked) = &mut self.reboot {
                asked.next_boot.get_or_insert_with(|| now.boot_id.clone());
            }
        }
        if let Some(why) = next.why {
            self.note(why, next.phase, now);
        }
        self.forced |= next.forced;
        if self.phase == Phase::Halted && next.phase == Phase::CheckHealth {
            self.forget_what_was_repaired();
        }
        if next.phase != self.phase {
            self.enter(next.phase, now.clone());
        }
        Ok(())
    }

    /// A node that halted is checked again, after a repair. If it comes back, the way back has not failed. What failed before
    /// that stays: a repair does not run the command.
    fn forget_what_was_repaired(&mut self) {
        let way_back = [Phase::CheckHealth, Phase::Register, Phase::WaitInService];
        let repaired = |phase| way_back.contains(&phase) || (phase == Phase::Reboot && self.boots > 0);
        if self.failure.as_ref().is_some_and(|failure| repaired(failure.phase)) {
            self.failure = None;
        }
    }

    /// Applies the restart of the driver, with or without a boot.
    ///
    /// # Errors
    /// As [`Operation::apply`].
    pub fn apply_restart(&mut self, now: &Moment) -> Result<(), NoSuchWay> {
        self.apply(Event::Restarted { booted: !self.phase_began.same_boot(now) }, now)
    }

    /// Notes why the operation does not succeed. The reason for a halt also ends the history.
    fn note(&mut self, why: Why, next: Phase, now: &Moment) {
        if why == Why::CommandCutOff {
            self.command = CommandState::Failed;
        }
        let reason = format!("{}: {why}", self.phase);
        self.failure.get_or_insert(Failure {
            phase: self.phase,
            reason,
            configuration: false,
            turned_back: None,
        });
        if next == Phase::Halted {
            self.history.push(PhaseRun {
                phase: self.phase,
                outcome: Outcome::Failed,
                began: self.phase_entered,
                seconds: now.utc.duration_since(self.phase_entered).as_secs_f64().max(0.0),
                reason: Some(why.to_string()),
            });
        }
    }

    /// The facts that its way through the phases depends on, as far as they are on record.
    pub fn facts(&self, now: &Moment) -> Facts {
        let request = &self.request;
        Facts {
            command: (!request.command.is_empty()).then_some(self.command),
            rerun: request.settings.rerun,
            reboot_wanted: request.reboot != RebootWhen::Never || self.command == CommandState::RebootNeeded,
            reboot_accepted: self.reboot.is_some(),
            drain_again: self.drain_again,
            stay_out: request.stay_out,
            forced: self.forced,
            sent: self.has_sent(),
            left: self.left.is_some(),
            holds: self.live_groups().any(|group| group.claim.is_some()),
            boots: self.boots,
            going_down: self.going_down.is_some(),
            registered: false,
            late: request.not_after.is_some_and(|limit| now.utc > limit),
        }
    }

    /// The calls to leave that have no answer.
    pub fn leaving_in_doubt(&self) -> impl Iterator<Item = &InDoubt> {
        let by_us = self.live_groups().map(|group| &group.deregisters_in_doubt);
        by_us.chain(self.standby.iter().map(|standby| &standby.in_doubt))
    }

    /// Removes the calls to leave that have no answer: none can take effect any more.
    pub fn forget_leaving_in_doubt(&mut self) {
        self.groups.iter_mut().for_each(|group| group.deregisters_in_doubt.forget());
        self.standby.iter_mut().for_each(|standby| standby.in_doubt.forget());
    }

    /// Whether a call to leave was sent: acknowledged, or without an answer.
    pub fn has_sent(&self) -> bool {
        let by_us = |group: &Group| group.deregistered.is_some() || !group.deregisters_in_doubt.is_empty();
        let by_its_group = |standby: &Standby| standby.entered.is_some() || !standby.in_doubt.is_empty();
        self.groups.iter().any(by_us) || self.standby.as_ref().is_some_and(by_its_group)
    }

    /// Enters a phase: its time limit counts from now. From `deregister` on the node counts as gone, unless the phase ends
    /// before anything was sent.
    fn enter(&mut self, phase: Phase, now: Moment) {
        if phase == Phase::Deregister {
            self.left.get_or_insert_with(|| now.clone());
        } else if self.phase == Phase::Deregister && phase != Phase::Drain && !self.has_sent() {
            self.left = None;
        }
        if self.phase == Phase::Drain {
            self.drain_again = false;
        }
        if phase == Phase::Drained {
            self.drained.get_or_insert_with(|| now.clone());
        }
        self.phase = phase;
        self.phase_entered = now.utc;
        self.phase_began = now;
    }

    /// Whether the node has left, or is giving up: from here the operation ends in service, or halted.
    pub fn has_to_come_back(&self) -> bool {
        self.phase.stage() != Stage::InService
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

    /// Why it halted: the last reason, or else the first.
    pub fn why_halted(&self) -> String {
        let last = self.history.iter().rev().find_map(|run| run.reason.clone());
        last.or_else(|| self.failure.as_ref().map(|failure| failure.reason.clone())).unwrap_or_default()
    }

    /// The verdict so far.
    pub fn verdict(&self) -> Verdict {
        match (self.left.is_some(), &self.failure) {
            (false, _) => Verdict::NothingChanged,
            (true, _) if !self.groups.is_empty() && self.live_groups().next().is_none() => {
                Verdict::GroupsDeleted
            }
            (true, None) => Verdict::Succeeded,
            (true, Some(_)) => Verdict::FailedButRestored,
        }
    }

    /// The reason that goes with the verdict.
    pub fn reason(&self) -> Option<String> {
        let failed = self.failure.as_ref().map(|failure| failure.reason.clone());
        let by_hand = || "register this node in its new target group by hand".to_owned();
        failed.or_else(|| (self.verdict() == Verdict::GroupsDeleted).then(by_hand))
    }

    /// The exit code that goes with the verdict.
    pub fn exit_code(&self) -> u8 {
        match self.verdict() {
            Verdict::Succeeded => crate::exit::DONE,
            Verdict::FailedButRestored | Verdict::GroupsDeleted => crate::exit::FAILED,
            Verdict::NothingChanged if self.failure.as_ref().is_some_and(|f| f.configuration) => {
                crate::exit::USAGE
            }
            Verdict::NothingChanged => crate::exit::NOTHING_CHANGED,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
