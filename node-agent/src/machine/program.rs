//! Runs other programs, without a shell, each in its own process group.

use rustix::fs::{Access, access};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// How much of a program's output is kept, in bytes.
const LONGEST_OUTPUT: u64 = 1024 * 1024;

/// How often to check whether a stopped process group has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why a program has not ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum NotEnded {
    /// It could not be started or waited for.
    #[error(transparent)]
    NotRun(#[from] io::Error),
    /// It was killed.
    #[error("timed out after {} s and was stopped", .0.as_secs())]
    TooLong(Duration),
}

/// The program of a command, for people. Arguments may hold secrets, and messages go to logs, Run Command and pagers.
pub fn named(argv: &[String]) -> &str {
    argv.first().map_or("", String::as_str)
}

/// The command as it would be typed in a shell, with arguments quoted where needed: only for logs of level debug.
pub fn shown(argv: &[String]) -> String {
    let quoted = shlex::Quoter::new().allow_nul(true).join(argv.iter().map(String::as_str));
    quoted.unwrap_or_else(|_| argv.join(" "))
}

/// A program without standard input. It leads a process group, so that everything it starts can be stopped with it.
pub(crate) fn command(argv: &[impl AsRef<OsStr>]) -> Command {
    let mut words = argv.iter().map(AsRef::as_ref);
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).stdin(Stdio::null()).process_group(0);
    command
}

/// Whether there is such a program: a file that may be run, at this path or in `PATH`.
pub(crate) fn exists(name: &str) -> bool {
    let runs = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if name.contains('/') {
        return runs(Path::new(name));
    }
    // What execvp(3) uses without it.
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    !name.is_empty() && std::env::split_paths(&path).any(|folder| runs(&folder.join(name)))
}

/// Runs a [`command`] with this input to its end, and kills its group after `limit`.
pub(crate) async fn run(command: &mut Command, input: &str, limit: Duration) -> Result<Output, NotEnded> {
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn()?;
    let group = group(&child);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program need not read its input; its exit status decides.
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

/// Runs a command, which has to end with exit code 0. Its standard output is discarded.
pub(crate) async fn succeeds(argv: &[String], input: &str, limit: Duration) -> Result<(), String> {
    let ended = run(command(argv).stdout(Stdio::null()), input, limit).await;
    let status = ended.map_err(|cause| cause.to_string())?.status;
    if status.success() { Ok(()) } else { Err(status.to_string()) }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut text = Vec::new();
    let Some(pipe) = pipe else { return text };
    // After an error, the output up to there is kept.
    let _ = pipe.take(LONGEST_OUTPUT).read_to_end(&mut text).await;
    text
}

/// Stops a program and its process group: SIGTERM, then after `grace` SIGKILL for the rest.
pub(crate) async fn stop(leader: &mut Child, grace: Duration) {
    // The leader may end before the rest of its group, so wait for the group.
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
        // A process that survives SIGKILL is stuck in the kernel, perhaps for ever.
        let _ = tokio::time::timeout(grace, leader.wait()).await;
    }
}

/// The group that a process leads, until its end has been collected.
fn group(leader: &Child) -> Option<Pid> {
    leader.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
}

fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // The group may have just ended.
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
        assert_eq!(named(&["curl".to_owned(), "--header=secret".to_owned()]), "curl");
    }

    #[tokio::test]
    async fn a_program_gets_its_input_and_its_two_outputs_are_kept_apart() {
        let mut both = command(&["sh", "-c", "cat; echo wrong >&2"]);
        let ended = run(both.stdout(Stdio::piped()).stderr(Stdio::piped()), "told", LONG).await.unwrap();
        assert_eq!((&*ended.stdout, &*ended.stderr), (&b"told"[..], &b"wrong\n"[..]));
    }

    #[tokio::test]
    async fn endless_output_is_read_up_to_a_limit() {
        let ended = run(command(&["yes"]).stdout(Stdio::piped()), "", LONG).await.unwrap();
        assert_eq!((ended.stdout.len(), ended.status.success()), (1024 * 1024, false));
    }

    #[test]
    fn a_program_exists_that_may_be_run() {
        assert!(exists("sh") && exists("/bin/sh"));
        for name in ["", "no-such-program", "/etc/passwd", "/bin", "./sh"] {
            assert!(!exists(name), "{name:?}");
        }
    }

    #[tokio::test]
    async fn an_empty_command_is_not_found() {
        let none: [&str; 0] = [];
        let error = run(&mut command(&none), "", LONG).await.unwrap_err();
        assert!(matches!(error, NotEnded::NotRun(cause) if cause.kind() == io::ErrorKind::NotFound));
    }
}
