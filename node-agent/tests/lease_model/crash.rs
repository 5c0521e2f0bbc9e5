//! Crashes, and how a node goes on after one.

use crate::decisions::restart;
use crate::enabled::value;
use crate::next::lost_deregister;
use crate::setup::Setup;
use crate::state::{At, Intent, Node, Record, State};
use crate::step::Step;
use crate::tag::{NO_CLAIM, Tags};
use node_agent::lease::quarantine::Restart;
use node_agent::machine::time::Moment;
use node_agent::record::phase::{Event, Phase};
use node_agent::record::{InDoubt, Operation, Request, Standby};
use node_agent::settings::Settings;
use std::sync::LazyLock;

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
                node.epoch = NO_CLAIM;
            }
        }
        Step::Terminate { in_flight } => {
            state.left.terminations -= 1;
            down(setup, node, in_flight);
            (node.at, node.in_service, node.health_stale) = (At::Terminated, false, false);
        }
        Step::Restart { booted } => node.at = taken_up(node.at, booted),
        Step::RestartWithoutRecord { healthy } => {
            let passed = node.at == At::Restarted(true);
            node.at = match restart(healthy, passed, setup.without) {
                Restart::ComeBack => {
                    // What was sent before the boot may still land: it counts as sent then.
                    node.unresolved_deregister = !passed;
                    At::Returning
                }
                Restart::Remove => At::Writing(Intent::Release),
                Restart::Wait(_) => node.at,
            };
        }
        _ => (),
    }
}

/// The process is gone; a request that it was sending may be under way.
fn down(setup: &Setup, node: &mut Node, in_flight: bool) {
    (node.awaits, node.fading) = (0, Tags::EMPTY);
    match node.at {
        At::Writing(intent) if in_flight => {
            node.late.insert(value(node, intent));
            node.unresolved_tag = true;
        }
        At::Leaving => {
            node.unresolved_deregister = true;
            if in_flight {
                lost_deregister(setup, node, true);
            }
        }
        _ => (),
    }
}

fn on_record(at: At) -> Record {
    match at {
        At::Leaving | At::Revalidating => Record::Leaving,
        At::Left | At::Out => Record::Out,
        At::Returning => Record::Returning,
        At::InService => Record::InService,
        At::Halted | At::Writing(Intent::Halt) => Record::Halted,
        _ => Record::Inside,
    }
}

/// Where a new process goes on, as the shipped record decides it.
fn taken_up(at: At, booted: bool) -> At {
    let At::Down(record) = at else { return at };
    let (phase, out) = match record {
        Record::Lost => return At::Restarted(false),
        Record::Inside => (Phase::AcquireLease, false),
        Record::Leaving => (Phase::Deregister, true),
        Record::Out => (Phase::Drain, true),
        Record::Returning => (Phase::Register, true),
        Record::InService => (Phase::ReleaseLease, true),
        Record::Halted => (Phase::Halted, true),
    };
    let moment = |boot: &str| Moment { boot_id: boot.into(), uptime_ms: 0, utc: jiff::Timestamp::UNIX_EPOCH };
    let left = out.then(|| moment("first"));
    let mut operation = Operation { phase, left, ..OPERATION.clone() };
    // On record as leaving, it has sent its request, for all that is known.
    operation.standby = out.then(|| Standby {
        group: String::new(),
        entered: None,
        in_doubt: InDoubt::since(moment("first")),
    });
    operation.restarts(&moment(if booted { "second" } else { "first" })).unwrap();
    if record == Record::Halted {
        // A person runs `resume`.
        operation.meets(Event::WantedBack, &moment("first")).unwrap();
    }
    match operation.phase {
        Phase::ReleaseLease if out => At::InService,
        Phase::ReleaseLease => At::Writing(Intent::Release),
        Phase::Deregister => At::Revalidating,
        Phase::Drain => At::Out,
        Phase::CheckHealth | Phase::Register => At::Returning,
        other => panic!("the model does not know how to go on at {other}"),
    }
}

static OPERATION: LazyLock<Operation> = LazyLock::new(|| {
    let request = Request::new("model".into(), Settings::default());
    Operation::new(
        request,
        Moment { boot_id: "first".into(), uptime_ms: 0, utc: jiff::Timestamp::UNIX_EPOCH },
    )
});
