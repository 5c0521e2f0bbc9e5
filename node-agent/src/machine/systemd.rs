//! What systemd knows: whether the machine is going down, and which way.

use serde::{Deserialize, Serialize};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Which way the machine goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoingDown {
    /// It will be back in a moment.
    Reboot,
    /// It may never be back.
    PowerOff,
}

/// How often a question that was cut off is asked again. As a unit is stopped, systemd signals what we have just started, too:
/// once, so that the next one lives.
const ASKED: u32 = 10;
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Which way the machine is going down; `None` when it is not, or when there is no systemd to ask.
///
/// Blocks for the few milliseconds that systemd takes to answer.
pub fn going_down() -> Option<GoingDown> {
    // Its exit code says "not running" in many states; only the word tells them apart.
    let state = ask(|| answer("systemctl", &["is-system-running"]))?;
    if state.trim() != "stopping" {
        return None;
    }
    let jobs = ask(|| answer("systemctl", &["list-jobs", "--plain", "--no-legend"]));
    Some(which_way(&jobs.unwrap_or_default()))
}

/// What a program said, or how it came not to.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Said(String),
    /// Somebody ended it by a signal.
    CutOff,
    /// It cannot be started.
    Nobody,
}

#[allow(
    clippy::disallowed_methods,
    reason = "the thread that hears signals, or a process that does nothing else yet"
)]
fn ask(question: impl Fn() -> Answer) -> Option<String> {
    for _ in 0..ASKED {
        match question() {
            Answer::Said(text) => return Some(text),
            Answer::CutOff => std::thread::sleep(ASK_AGAIN_AFTER),
            Answer::Nobody => return None,
        }
    }
    None
}

fn answer(program: &str, arguments: &[&str]) -> Answer {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output();
    match output {
        Ok(output) if output.status.code().is_some() => {
            Answer::Said(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(_) => Answer::CutOff,
        Err(_) => Answer::Nobody,
    }
}

/// From the jobs that systemd works on. What is neither a reboot nor like one may be the end of the machine.
fn which_way(jobs: &str) -> GoingDown {
    let starts = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let unit = words.next().unwrap_or_default();
        words.next() == Some("start")
            && ["reboot.target", "kexec.target", "soft-reboot.target"].contains(&unit)
    };
    if jobs.lines().any(starts) { GoingDown::Reboot } else { GoingDown::PowerOff }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_jobs_tell_a_reboot_from_a_power_off() {
        let jobs = |target: &str| {
            format!(
                "173 node-agent-guard.service stop running\n121 {target} start waiting\n122 systemd-reboot.service start waiting\n"
            )
        };
        assert_eq!(which_way(&jobs("reboot.target")), GoingDown::Reboot);
        assert_eq!(which_way(&jobs("kexec.target")), GoingDown::Reboot);
        assert_eq!(which_way(&jobs("poweroff.target")), GoingDown::PowerOff);
        assert_eq!(which_way(&jobs("halt.target")), GoingDown::PowerOff);
        assert_eq!(which_way(""), GoingDown::PowerOff);
    }

    #[test]
    fn a_question_that_was_cut_off_is_asked_again_and_nobody_is_asked_once() {
        assert_eq!(answer("sh", &["-c", "echo stopping; exit 1"]), Answer::Said("stopping\n".into()));
        assert_eq!(answer("sh", &["-c", "kill -TERM $$"]), Answer::CutOff);
        assert_eq!(answer("/nonexistent/systemctl", &[]), Answer::Nobody);
        let times = Cell::new(0);
        let counted = |answer: fn(u32) -> Answer| {
            times.set(0);
            ask(|| {
                times.set(times.get() + 1);
                answer(times.get())
            })
        };
        let second = counted(|n| if n == 1 { Answer::CutOff } else { Answer::Said("stopping".into()) });
        assert_eq!((second.as_deref(), times.get()), (Some("stopping"), 2));
        assert_eq!((counted(|_| Answer::CutOff), times.get()), (None, ASKED));
        assert_eq!((counted(|_| Answer::Nobody), times.get()), (None, 1));
    }
}
