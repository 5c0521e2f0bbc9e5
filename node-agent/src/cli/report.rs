//! The end of a maintenance, as it is printed: the table of phases, the verdict and the exit code.

use crate::cli::say::say;
use crate::client::end::End;
use crate::client::start;
use crate::exit;
use crate::record::{Finished, Operation, PhaseRun, Verdict};
use std::fmt::Write;

/// The longest text, in characters. Run Command shows 2,500 of both outputs of all runs of a script, from the beginning.
/// Together with the runs before a reboot, these are 2,000 at most.
const LONGEST: usize = 1800;
/// The longest reason. `status` has all of it.
const LONGEST_REASON: usize = 1100;

/// Prints it, and returns the exit code.
pub(super) fn tell(end: &End) -> u8 {
    let (text, code) = text(end);
    say(&text);
    code
}

fn text(end: &End) -> (String, u8) {
    match end {
        End::Finished(finished) => (verdict(finished), finished.exit_code),
        End::CameBack(finished) => (verdict(finished), exit::DONE),
        End::Halted(operation) => (halted(operation), exit::HALTED),
        End::Drained(operation) => (drained(operation, ""), exit::DONE),
        End::DrainedAlready(operation) => (drained(operation, "nothing to do: "), exit::DONE),
        End::RebootAsked => {
            ("drained: requesting a reboot from the SSM agent (exit code 194)\n".to_owned(), exit::REBOOT)
        }
        End::GoingDown => (String::new(), exit::DONE),
    }
}

fn halted(operation: &Operation) -> String {
    let reason = shortened(&operation.why_halted());
    let halted =
        format!("halted: the node keeps its lease and counts against node-agent/max-failures\n{reason}\n");
    with_table(&operation.history, &halted)
}

fn drained(operation: &Operation, before: &str) -> String {
    let settings = &operation.request.settings;
    // Only a driver that stays can bring the node back by itself.
    let until = match start::command(settings) {
        Some(_) => format!("for at most {}", settings.drained_limit),
        None => "which nothing runs by itself: no driver stays on this machine".to_owned(),
    };
    let drained = format!("{before}drained: out of service until `node-agent rejoin`, {until}\n");
    with_table(&operation.history, &drained)
}

fn verdict(finished: &Finished) -> String {
    let mut text = format!("{}\n", finished.verdict);
    if let Some(reason) = &finished.reason {
        let _ = writeln!(text, "{}", shortened(reason));
        if finished.verdict == Verdict::FailedButRestored {
            let _ = writeln!(
                text,
                "the node is back in service; if its lease is marked failed, as after a failed command, it counts against \
                 node-agent/max-failures"
            );
        }
    }
    with_table(&finished.phases, &text)
}

fn shortened(reason: &str) -> String {
    if reason.chars().count() <= LONGEST_REASON {
        return reason.to_owned();
    }
    let start: String = reason.chars().take(LONGEST_REASON).collect();
    format!("{start}... (`node-agent status` has all of it)")
}

/// The table of phases and what follows it. The first phases are left out if there are too many.
fn with_table(phases: &[PhaseRun], below: &str) -> String {
    let row = |run: &PhaseRun| format!("{:<16} {:<10} {:>9.1}\n", run.phase, run.outcome, run.seconds);
    let head = format!("{:<16} {:<10} {:>9}\n", "phase", "outcome", "seconds");
    let total: f64 = phases.iter().map(|run| run.seconds).sum();
    let total = format!("{:<27} {total:>9.1}\n", "total");
    let left_out = |count: usize| format!("({count} earlier phases)\n");
    let rows: Vec<String> = phases.iter().map(row).collect();
    let length = |texts: &[String]| texts.iter().map(|text| text.chars().count()).sum::<usize>();
    let rest = length(&[head.clone(), total.clone(), below.to_owned(), left_out(rows.len())]);
    let mut shown = rows.as_slice();
    while length(shown) + rest > LONGEST
        && let [_, later @ ..] = shown
    {
        shown = later;
    }
    let hidden = match rows.len() - shown.len() {
        0 => String::new(),
        count => left_out(count),
    };
    format!("{head}{hidden}{}{total}{below}", shown.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::time::Moment;
    use crate::record::Request;
    use crate::record::phase::{Outcome, Phase};
    use crate::settings::Settings;
    use jiff::Timestamp;

    fn finished(phases: usize, reason: &str) -> Finished {
        let run = PhaseRun {
            phase: Phase::WaitInService,
            outcome: Outcome::Cancelled,
            began: Timestamp::UNIX_EPOCH,
            seconds: 12345.6,
            reason: None,
        };
        Finished {
            id: "one".into(),
            also: Vec::new(),
            verdict: Verdict::FailedButRestored,
            exit_code: 1,
            at: Timestamp::UNIX_EPOCH,
            reason: Some(reason.to_owned()),
            turned_back: None,
            phases: vec![run; phases],
            boots: 0,
            reboot: None,
        }
    }

    #[test]
    fn a_text_is_short_enough_for_run_command_and_keeps_its_verdict() {
        for (phases, reason) in [(0, ""), (11, "a"), (500, "a"), (500, "é"), (0, "é")] {
            let text = verdict(&finished(phases, &reason.repeat(20_000)));
            assert!(text.chars().count() <= LONGEST, "{} characters", text.chars().count());
            assert!(text.contains("failed, but the node is back in service"), "{text}");
        }
        let asked = super::text(&End::RebootAsked).0;
        assert!(LONGEST + 3 * asked.chars().count() <= 2000);
    }

    #[test]
    fn a_drained_node_is_said_to_come_back_by_itself_only_if_a_driver_stays() {
        let drained = |start_driver: &[&str]| {
            let start_driver = Some(start_driver.iter().map(|word| (*word).to_owned()).collect());
            let settings = Settings { start_driver, ..Settings::default() };
            let now = Moment { boot_id: "boot".into(), uptime_ms: 1, utc: Timestamp::UNIX_EPOCH };
            super::drained(&Operation::new(Request::new("one".into(), settings), now), "")
        };
        let text = drained(&["start", "the", "driver"]);
        assert!(
            text.ends_with("drained: out of service until `node-agent rejoin`, for at most 4h\n"),
            "{text}"
        );
        let text = drained(&[]);
        assert!(text.contains("no driver stays on this machine") && !text.contains("4h"), "{text}");
    }

    #[test]
    fn the_phases_of_a_usual_maintenance_and_a_failed_command_are_all_shown() {
        let text = verdict(&finished(11, &"x".repeat(1000)));
        assert_eq!((text.matches("wait_in_service").count(), text.contains("earlier phases")), (11, false));
        let text = verdict(&finished(50, "short"));
        assert!(text.contains(" earlier phases)\n"), "{text}");
    }
}
