//! The program: exit codes, and signals.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A configuration file that is removed again.
struct Config(PathBuf);

impl Config {
    fn new(text: &str) -> Config {
        let name = format!("local-alb-{}-{:016x}.toml", std::process::id(), rand::random::<u64>());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Config(path)
    }

    fn start(&self) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_local-alb"));
        command.arg("--config").arg(&self.0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn settings_that_cannot_be_used_end_with_2_and_their_place() {
    let group = "api = \"127.0.0.1:0\"\n[[groups]]\nlisten = \"127.0.0.1:0\"\nname = \"web\"\n";
    for (line, said) in [
        ("protocl = \"HTTP\"", "the target group web: unknown field `protocl`"),
        ("targets = [[\"i-0a000001\", 80]]", "the target i-0a000001 is not a known instance"),
        (
            "attributes = { \"stickiness.enabled\" = \"maybe\" }",
            "'stickiness.enabled' must be one of true, false",
        ),
    ] {
        let ended = Config::new(&format!("{group}{line}\n")).start().wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{text}");
        assert!(text.starts_with("local-alb: failed to") && text.contains(said), "{text}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_although_a_request_is_in_flight() {
    let config = Config::new("api = \"127.0.0.1:0\"\n");
    let mut child = config.start();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().rsplit_once("http://").unwrap().1.to_owned();
    let mut request = TcpStream::connect(&address).unwrap();
    request
        .write_all(b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\n")
        .unwrap();
    // It is in flight once its body is asked for, and stays so: the body never comes.
    let mut asked = [0; 12];
    request.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    let signal = || {
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    };
    signal();
    // It accepts no more, and waits for the request.
    let begun = Instant::now();
    while TcpStream::connect(&address).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it goes on accepting");
        sleep(Duration::from_millis(10)).await;
    }
    signal();
    let ended = child.wait().unwrap();
    assert_eq!(ended.signal(), Some(15), "{ended:?}");
    let mut rest = String::new();
    child.stderr.take().unwrap().read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("panicked"), "{rest}");
}
