//! The program: signals, exit codes and messages.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect by panicking")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Output, Stdio},
};

fn hello_service(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hello-service"));
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).env("RUST_LOG", "info");
    command
}

/// Starts the program on a free port and waits for the line that says it listens.
fn listening() -> (Child, String) {
    let mut child = hello_service(&["--listen", "127.0.0.1:0"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().rsplit_once("address=").expect(&line).1.to_owned();
    (child, address)
}

fn stderr_of(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn sigterm_ends_it_in_order() {
    let (mut child, _) = listening();
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let mut rest = String::new();
    child.stderr.take().unwrap().read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest}");
    assert!(rest.contains("all requests were answered"), "{rest}");
}

#[test]
fn a_second_signal_ends_a_lame_duck_at_once() {
    let (mut child, address) = listening();
    // Somebody is connected, so it would stay for its 15 s.
    let mut connection = TcpStream::connect(&address).unwrap();
    let signal = || Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(signal().success());
    let mut answer = || {
        connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let mut seen = [0; 12];
        connection.read_exact(&mut seen).unwrap();
        connection = TcpStream::connect(&address).unwrap();
        seen
    };
    assert!((0..10_000).any(|_| &answer() == b"HTTP/1.1 503"), "it goes on as before");
    assert!(signal().success());
    assert_eq!(child.wait().unwrap().signal(), Some(15));
}

#[test]
fn an_occupied_port_is_one_clear_line() {
    let (mut first, address) = listening();
    let second = hello_service(&["--listen", &address]).output().unwrap();
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let message = stderr_of(&second);
    assert!(message.starts_with(&format!("hello-service: failed to listen on {address}: ")), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[test]
fn a_bad_address_is_wrong_usage() {
    let output = hello_service(&["--listen", "nowhere"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr_of(&output).contains("--listen"), "{}", stderr_of(&output));
}
