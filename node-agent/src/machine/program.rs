//! Other programs: started without a shell, in a process group of their own, and how they end.

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use std::ffi::OsStr;
use std::io;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// No more is kept of what a program writes, in bytes.
const LONGEST_OUTPUT: u64 = 1024 * 1024;

/// How often to look whether a group that was told to end has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why a program has not ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum NotEnded {
    /// It could not be started or waited for.
    #[error(transparent)]
    NotRun(#[from] io::Error),
    /// It was killed.
    #[error("it took longer than {} s and was stopped", .0.as_secs())]
    TooLong(Duration),
}

/// The command as a person would type it: an argument with a space in it is seen to be one.
pub fn shown(argv: &[String]) -> String {
    let quoted = shlex::Quoter::new().allow_nul(true).join(argv.iter().map(String::as_str));
    quoted.unwrap_or_else(|_| argv.join(" "))
}

/// A program that has nothing to read. It leads a process group, so that whatever it starts can be ended with it.
pub(crate) fn command(argv: &[impl AsRef<OsStr>]) -> Command {
    let mut words = argv.iter().map(AsRef::as_ref);
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).stdin(Stdio::null()).process_group(0);
    command
}

/// Runs a [`command`] that reads this to its end, and kills its group after `limit`.
pub(crate) async fn run(command: &mut Command, input: &str, limit: Duration) -> Result<Output, NotEnded> {
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn()?;
    let group = group(&child);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program that does not read closes its end; how it ends is what counts.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let ended = async { tokio::join!(child.wait(), read(stdout), read(stderr), write) };
    match tokio::time::timeout(limit, ended).await {
        Ok((status, stdout, stderr, ())) => Ok(Output { status: status?, stdout, stderr }),
        Err(_) => {
            signal(group, Signal::KILL);
            Err(NotEnded::TooLong(limit))
        }
    }
}

/// Runs this to its end, which has to be exit code 0. Its standard output is of no interest.
pub(crate) async fn succeeds(argv: &[String], input: &str, limit: Duration) -> Result<(), String> {
    let ended = run(command(argv).stdout(Stdio::null()), input, limit).await;
    let status = ended.map_err(|cause| cause.to_string())?.status;
    if status.success() { Ok(()) } else { Err(status.to_string()) }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut text = Vec::new();
    let Some(pipe) = pipe else { return text };
    // What came before an error is all there is to show.
    let _ = pipe.take(LONGEST_OUTPUT).read_to_end(&mut text).await;
    text
}

/// Ends the group that a program leads: SIGTERM, then after `grace` SIGKILL for those that are left.
pub(crate) async fn stop(leader: &mut Child, grace: Duration) {
    // The leader may end and leave others of the group behind: the grace is for all of them.
    let group = group(leader);
    signal(group, Signal::TERM);
    let gone = async {
        let _ = leader.wait().await;
        while group.is_some_and(|group| test_kill_process_group(group).is_ok()) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    if tokio::time::timeout(grace, gone).await.is_err() {
        signal(group, Signal::KILL);
        // A process that even SIGKILL does not end is stuck in the kernel; waiting for it would never end.
        let _ = tokio::time::timeout(grace, leader.wait()).await;
    }
}

/// The group that a process leads, while nobody has seen its end.
fn group(leader: &Child) -> Option<Pid> {
    leader.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
}

fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // It may have ended this very moment; there is nobody left to signal then.
        let _ = kill_process_group(group, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_command_is_shown_with_its_arguments_apart() {
        let shown = |argv: &[&str]| shown(&argv.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(shown(&["dnf", "-y", "upgrade"]), "dnf -y upgrade");
        assert_eq!(shown(&["touch", "a b", ""]), "touch 'a b' ''");
        assert_eq!(shown(&["a\0b"]), "'a\0b'");
    }

    #[tokio::test]
    async fn a_program_reads_what_it_is_told_and_what_it_writes_is_kept_apart() {
        let mut both = command(&["sh", "-c", "cat; echo wrong >&2"]);
        let ended = run(both.stdout(Stdio::piped()).stderr(Stdio::piped()), "told", LONG).await.unwrap();
        assert_eq!((&*ended.stdout, &*ended.stderr), (&b"told"[..], &b"wrong\n"[..]));
    }

    #[tokio::test]
    async fn a_program_that_writes_without_end_is_not_read_without_end() {
        let ended = run(command(&["yes"]).stdout(Stdio::piped()), "", LONG).await.unwrap();
        assert_eq!((ended.stdout.len(), ended.status.success()), (1024 * 1024, false));
    }

    #[tokio::test]
    async fn a_program_of_no_words_is_not_found() {
        let none: [&str; 0] = [];
        let error = run(&mut command(&none), "", LONG).await.unwrap_err();
        assert!(matches!(error, NotEnded::NotRun(cause) if cause.kind() == io::ErrorKind::NotFound));
    }
}
