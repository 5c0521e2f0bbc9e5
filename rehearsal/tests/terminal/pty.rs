//! A terminal as a login has it: the program on it leads the session, and the kernel tells it when it is closed.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{File, OpenOptions};
use std::io::{PipeReader, PipeWriter};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::thread::JoinHandle;
use tokio::process::{Child, Command};

/// A terminal. It is there for as long as somebody reads what is written to it.
struct Terminal {
    reader: JoinHandle<()>,
    _open: PipeWriter,
}

/// A program, and the terminal on which it was started.
pub(crate) struct OnTerminal {
    pub(crate) child: Child,
    terminal: Option<Terminal>,
}

impl Terminal {
    /// The terminal, and the side of it that a program has.
    fn open() -> (Terminal, File) {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        // This program has no terminal of its own: opened by somebody who leads a session it would become theirs.
        let no_tty = i32::try_from(OpenptFlags::NOCTTY.bits()).unwrap();
        let mut open = OpenOptions::new();
        let theirs = open.read(true).write(true).custom_flags(no_tty).open(name).unwrap();
        let (until_closed, open) = std::io::pipe().unwrap();
        let reader = std::thread::spawn(move || read(&ours, &until_closed));
        (Terminal { reader, _open: open }, theirs)
    }

    /// When this returns, the program has got its SIGHUP.
    fn close(self) {
        let Terminal { reader, _open } = self;
        drop(_open);
        reader.join().unwrap();
    }
}

/// Reads, so that nobody who writes has to wait, until the pipe is closed.
fn read(terminal: &OwnedFd, until_closed: &PipeReader) {
    let mut buffer = [0; 4096];
    let closed = PollFd::new(until_closed, PollFlags::empty());
    loop {
        let mut ready = [closed.clone(), PollFd::new(terminal, PollFlags::IN)];
        poll(&mut ready, None).unwrap();
        if !ready[0].revents().is_empty() {
            return;
        }
        match rustix::io::read(terminal, &mut buffer) {
            Ok(_) => (),
            // The program has ended: there is nothing more to come, but the terminal stays.
            Err(Errno::IO) => {
                poll(&mut [closed], None).unwrap();
                return;
            }
            Err(error) => panic!("failed to read from the terminal: {error}"),
        }
    }
}

impl OnTerminal {
    /// Starts what `command` says on a terminal of its own. Its log goes there too, or else to a file.
    pub(crate) fn start(command: &Command, log: Option<&Path>) -> OnTerminal {
        let (terminal, theirs) = Terminal::open();
        let command = command.as_std();
        let mut on_terminal = Command::new("setsid");
        on_terminal.arg("--ctty").arg(command.get_program()).args(command.get_args()).env_clear();
        on_terminal.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let stderr = log.map_or_else(|| theirs.try_clone().unwrap(), |log| File::create(log).unwrap());
        on_terminal.stdin(theirs.try_clone().unwrap()).stdout(Stdio::from(theirs)).stderr(stderr);
        OnTerminal { child: on_terminal.kill_on_drop(true).spawn().unwrap(), terminal: Some(terminal) }
    }

    pub(crate) fn close(&mut self) {
        self.terminal.take().unwrap().close();
    }
}
