//! What else comes with a closed terminal.

use crate::estate::until;
use crate::machine::signal;
use crate::pty::OnTerminal;
use crate::stage::{Drives, Stage, ended};
use node_agent::record::Verdict;
use node_agent::record::phase::Phase;
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use tokio::process::Command;

const IN_THE_COMMAND: Phase = Phase::RunCommand;

#[tokio::test(flavor = "multi_thread")]
async fn only_a_second_request_of_a_person_ends_the_program_at_once() {
    let stage = Stage::new(IN_THE_COMMAND, Drives::ThisProcess).await;
    // It does not end when it is told to, so that there is time to ask again; it ends with the estate.
    let began = stage.machine.file("began").display().to_string();
    let stubborn = format!("trap '' TERM; echo >> {began}; while [ -e {began} ]; do sleep 0.1; done");
    let maintain = stage.machine.command(&["maintain", "--", "sh", "-c", &stubborn]);
    let log = stage.machine.file("log");
    let says = |words: &str| std::fs::read_to_string(&log).unwrap().contains(words);
    let mut program = OnTerminal::start(&maintain, Some(&log));
    stage.is_reached().await;
    program.close();
    until(|| says("terminal closed: ")).await;
    // The kernel's was the first; the shell sends one, too. Where systemd ends the session, SIGTERM comes with it.
    signal(&program.child, Signal::HUP);
    signal(&program.child, Signal::HUP);
    signal(&program.child, Signal::TERM);
    until(|| says("signal again to quit now")).await;
    signal(&program.child, Signal::HUP);
    signal(&program.child, Signal::TERM);
    let status = ended(&mut program.child).await;
    assert_eq!(status.signal(), Some(Signal::TERM.as_raw()), "{}", std::fs::read_to_string(&log).unwrap());
    assert!(
        stage.machine.operation().is_some_and(|operation| operation.left.is_some()),
        "the record is left for `resume`"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nohup_the_terminal_is_no_concern_of_it() {
    let stage = Stage::new(IN_THE_COMMAND, Drives::ThisProcess).await;
    let maintain = stage.maintain();
    let maintain = maintain.as_std();
    // As nohup does it, which would leave its file here.
    let mut nohup = Command::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$@\"", "nohup"]);
    nohup.arg(maintain.get_program()).args(maintain.get_args());
    nohup.envs(maintain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut program = OnTerminal::start(&nohup, Some(&stage.machine.file("log")));
    stage.is_reached().await;
    program.close();
    stage.let_the_command_end();
    assert_eq!(ended(&mut program.child).await.code(), Some(0), "{:?}", stage.finished());
    assert_eq!(stage.finished().verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_any_more_stops_nothing() {
    let stage = Stage::new(IN_THE_COMMAND, Drives::ThisProcess).await;
    let mut program = stage.maintain().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    stage.is_reached().await;
    drop((program.stdout.take(), program.stderr.take()));
    stage.let_the_command_end();
    assert_eq!(ended(&mut program).await.code(), Some(0), "{:?}", stage.finished());
    assert_eq!(stage.finished().verdict, Verdict::Succeeded);
}
