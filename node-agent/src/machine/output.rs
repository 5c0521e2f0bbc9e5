//! The output of a command: passed on to standard error, with its last lines kept for whoever asks why it failed.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, PipeReader, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::process::Command;
use tokio::sync::oneshot;

/// How much of the end is kept, in bytes.
const KEPT: usize = 8 * 1024;
/// The most lines that are told.
const LINES: usize = 10;
/// The most characters that are told.
const CHARACTERS: usize = 900;
/// A command that has ended may have left a process that holds its output open. What the command wrote is read by then.
const REST_LIMIT: Duration = Duration::from_secs(1);

/// The output of one command.
#[derive(Debug)]
pub(crate) struct Output {
    kept: Arc<Mutex<VecDeque<u8>>>,
    /// Dropped by the other side when the last process that holds the output open has ended.
    read: oneshot::Receiver<()>,
}

impl Output {
    /// Takes both outputs of a command that is to be started. `None`: this process writes to a terminal, and so does the
    /// command, because a person reads there.
    pub(crate) fn of(command: &mut Command) -> io::Result<Option<Output>> {
        if io::stdout().is_terminal() || io::stderr().is_terminal() {
            return Ok(None);
        }
        // One pipe for both, so that their lines stay in order.
        let (reader, writer) = io::pipe()?;
        command.stdout(writer.try_clone()?).stderr(writer);
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let (reading, read) = oneshot::channel();
        let keep = kept.clone();
        // A thread of its own: whoever reads our standard error may be slow, and nothing else waits for that.
        std::thread::Builder::new().spawn(move || {
            pass_on(reader, &keep);
            drop(reading);
        })?;
        Ok(Some(Output { kept, read }))
    }

    /// The last lines, once the command has ended.
    pub(crate) async fn last_lines(mut self) -> String {
        // Not ended by then, it goes on passing on what is written later.
        let _ = tokio::time::timeout(REST_LIMIT, &mut self.read).await;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        last_lines(&String::from_utf8_lossy(kept.make_contiguous()))
    }
}

fn pass_on(mut output: PipeReader, kept: &Mutex<VecDeque<u8>>) {
    let mut buffer = [0; 8 * 1024];
    loop {
        let length = match output.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let text = buffer.get(..length).unwrap_or_default();
        {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(text);
            let surplus = kept.len().saturating_sub(KEPT);
            kept.drain(..surplus);
        }
        // Nobody may read there any more. The command must not be stopped by that.
        let _ = io::stderr().write_all(text);
    }
}

/// The last lines of a text, as they would stand on a terminal: without what was overwritten, and without control
/// characters.
fn last_lines(text: &str) -> String {
    let shown = text.lines().map(shown).filter(|line| !line.is_empty());
    let mut lines: Vec<String> = shown.collect();
    lines.drain(..lines.len().saturating_sub(LINES));
    let all = lines.join("\n");
    let surplus = all.chars().count().saturating_sub(CHARACTERS);
    match surplus {
        0 => all,
        _ => format!("...{}", all.chars().skip(surplus).collect::<String>()),
    }
}

fn shown(line: &str) -> String {
    // A progress bar writes its line again and again.
    let last = line.trim_end().rsplit('\r').next().unwrap_or_default();
    let mut shown = String::new();
    let mut chars = last.chars();
    while let Some(next) = chars.next() {
        match next {
            // Colours, and the like: ESC [ ... letter.
            '\u{1b}' => {
                if chars.next() == Some('[') {
                    let _ = chars.find(|c| ('@'..='~').contains(c));
                }
            }
            '\t' => shown.push(' '),
            other if other.is_control() => (),
            other => shown.push(other),
        }
    }
    shown.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::program;

    async fn told(script: &str) -> String {
        let mut command = program::command(&["sh", "-c", script]);
        let output = Output::of(&mut command).unwrap().expect("tests write to no terminal");
        let mut child = command.spawn().unwrap();
        drop(command);
        child.wait().await.unwrap();
        output.last_lines().await
    }

    #[test]
    fn the_last_lines_are_told_as_a_terminal_shows_them() {
        assert_eq!(last_lines("one\n\n\ntwo  \n"), "one\ntwo");
        assert_eq!(last_lines("  5%\r 50%\r100%\r\ndone\u{7}\n"), "100%\ndone");
        assert_eq!(last_lines("\u{1b}[1;31mE:\u{1b}[0m\tno\u{0} lock"), "E: no lock");
        assert_eq!(last_lines(""), "");
        let many: String = (1..=30).map(|number| format!("{number}\n")).collect();
        assert_eq!(last_lines(&many), "21\n22\n23\n24\n25\n26\n27\n28\n29\n30");
        let long = last_lines(&format!("first\n{}end", "é".repeat(5000)));
        assert_eq!((long.chars().count(), long.starts_with("...é")), (903, true));
        assert!(long.ends_with("éend"), "{long}");
    }

    #[tokio::test]
    async fn both_outputs_are_kept_in_order_up_to_the_last_line() {
        assert_eq!(
            told("echo one; echo two >&2; echo three; printf four >&2").await,
            "one\ntwo\nthree\nfour"
        );
        assert_eq!(told("seq 1 100000; echo end").await.lines().last(), Some("end"));
    }

    #[tokio::test]
    async fn a_process_that_the_command_leaves_behind_is_not_waited_for() {
        let began = tokio::time::Instant::now();
        let told = told("echo E: failed; sleep 30 & echo $!").await;
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        let (line, sleeps) = told.split_once('\n').unwrap();
        assert_eq!(line, "E: failed");
        let sleeps = rustix::process::Pid::from_raw(sleeps.parse().unwrap()).unwrap();
        rustix::process::kill_process(sleeps, rustix::process::Signal::KILL).unwrap();
    }
}
