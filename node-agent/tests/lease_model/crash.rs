//! Crashes, and how a node goes on after one.

use crate::decisions::{known_past_after_boot, restart};
use crate::enabled::value;
use crate::next::{forget_k, lost_deregister, take_claim_from_tag};
use crate::restart::{OnRecord, restarted};
use crate::rules::Rule;
use crate::setup::Setup;
use crate::state::{At, Intent, Leave, Node, Record, State};
use crate::step::{After, Step};
use crate::tag::{NO_CLAIM, Tag, Tags};
use node_agent::lease::quarantine::Restart;
use node_agent::record::phase::Phase;

/// A crash, a restart, or the end of the machine.
pub fn crash(setup: &Setup, state: &mut State, node: &mut Node, step: Step) {
    match step {
        Step::Crash { in_flight, record_lost } => {
            state.left.crashes -= 1;
            state.left.records_lost -= u8::from(record_lost);
            let record = on_record(node.at);
            down(setup, node, in_flight);
            node.at = At::Down(if record_lost { Record::Lost } else { record });
            if record_lost {
                (node.unresolved_tag, node.unresolved_deregister, node.failed) = (false, false, false);
                (node.epoch, node.leave) = (NO_CLAIM, Leave::NotYet);
            }
        }
        Step::Terminate { in_flight } => {
            state.left.terminations -= 1;
            down(setup, node, in_flight);
            (node.at, node.in_service, node.health_stale) = (At::Terminated, false, false);
        }
        Step::Restart { after } => {
            let At::Down(record) = node.at else { return };
            state.left.halts -= u8::from(after == After::TooManyBoots);
            if after != After::Crash {
                boot(setup, node, record);
            }
            taken_up(setup, node, record, after);
        }
        Step::RestartWithoutRecord { .. } if begins_anew(setup, node) => {
            node.at = At::Idle;
            forget_k(node);
        }
        Step::RestartWithoutRecord { healthy } => {
            let passed = node.at == At::Restarted(true);
            let restart = restart(healthy, passed, setup.without);
            if restart == Restart::ComeBack {
                // What was sent before the boot may still land: it counts as sent then.
                node.unresolved_deregister = !passed;
            }
            take_claim_from_tag(state, node);
            node.at = match restart {
                Restart::ComeBack => At::Returning,
                Restart::Remove => At::Writing(Intent::Release),
                Restart::Wait(_) => node.at,
            };
        }
        _ => (),
    }
}

/// Without a record and without a tag there is nothing to come back from; what was sent before the boot may land all the
/// same.
pub fn begins_anew(setup: &Setup, node: &Node) -> bool {
    setup.without == Some(Rule::RestartWaitsWithoutTag) && matches!(node.tag, Tag::Absent | Tag::Failed)
}

/// The process is gone; a request that it was sending may be under way.
fn down(setup: &Setup, node: &mut Node, in_flight: bool) {
    (node.awaits, node.fading) = (0, Tags::EMPTY);
    match node.at {
        At::Writing(intent) if in_flight => {
            node.late.insert(value(node, intent));
            node.unresolved_tag = true;
        }
        At::Deregistering => {
            (node.unresolved_deregister, node.leave) = (true, Leave::Sent);
            if in_flight {
                lost_deregister(setup, node, true);
            }
        }
        _ => (),
    }
}

fn on_record(at: At) -> Record {
    match at {
        At::Confirmed | At::Leaving | At::Deregistering | At::Left | At::Revalidating => {
            Record::Deregistering
        }
        At::Out => Record::Out,
        At::Returning => Record::Returning,
        At::Registered => Record::Registered,
        At::InService | At::Writing(Intent::Release) => Record::Releasing,
        At::Halted | At::Writing(Intent::Halt) => Record::Halted,
        _ => Record::Acquiring,
    }
}

/// The machine is up again, its service not yet. Of the time that passed only what has passed since the boot is known.
fn boot(setup: &Setup, node: &mut Node, record: Record) {
    if known_past_after_boot(setup.without) {
        (node.unresolved_tag, node.unresolved_deregister) = (false, false);
    }
    if holds_for_certain(setup, node, record) {
        node.in_service = false;
    }
}

/// The node's slot is its own, whatever happens to the machine. Elsewhere a machine that boots is an accident in
/// nobody's slot, which no lease prevents and the model does not count.
fn holds_for_certain(setup: &Setup, node: &Node, record: Record) -> bool {
    let confirmed = matches!(node.leave, Leave::OnRecord | Leave::Sent) || record == Record::Deregistering;
    let stands = node.tag.epoch() == Some(node.epoch) || matches!(node.tag, Tag::Halted { .. });
    let stays = node.late.iter().all(Tag::takes_slot);
    confirmed && stands && stays && !setup.third_party
}

/// Where a new process goes on, as the shipped code decides it.
fn taken_up(setup: &Setup, node: &mut Node, record: Record, after: After) {
    let phase = match record {
        Record::Lost => {
            node.at = At::Restarted(false);
            return;
        }
        Record::Acquiring => Phase::AcquireLease,
        Record::Deregistering => Phase::Deregister,
        Record::Out => Phase::Drain,
        Record::Returning => Phase::Register,
        Record::Registered => Phase::WaitInService,
        Record::Releasing => Phase::ReleaseLease,
        Record::Halted => Phase::Halted,
    };
    let decided = restarted(OnRecord::of(node, phase, after));
    if !decided.out {
        node.leave = Leave::NotYet;
    }
    node.at = match decided.phase {
        Phase::Deregister => At::Revalidating,
        Phase::Drain | Phase::RunCommand | Phase::Reboot => At::Out,
        Phase::CheckHealth | Phase::WaitInService if setup.without == Some(Rule::SeenHealthy) => {
            At::InService
        }
        Phase::CheckHealth | Phase::Register => At::Returning,
        Phase::WaitInService => At::Registered,
        Phase::ReleaseLease => At::InService,
        // The driver marks the lease, unless it has none or an operator has broken it.
        Phase::Halted if node.epoch != NO_CLAIM && node.tag != Tag::Broken => At::Writing(Intent::Halt),
        Phase::Halted => At::Halted,
        other => panic!("the model does not know how to go on at {other}"),
    };
}
