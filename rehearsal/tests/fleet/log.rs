//! What the agent writes to its log during one test.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Once;
use tracing_subscriber::EnvFilter;

thread_local! {
    /// A test on the paused clock, and all its agents, run on one thread.
    static WRITTEN: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

static SUBSCRIBED: Once = Once::new();

/// The log of this test's agents.
pub struct Log(());

/// Keeps the log from here on.
pub fn logged() -> Log {
    // One subscriber for all threads: whether an event is wanted is remembered for the whole process.
    SUBSCRIBED.call_once(|| {
        let filter = EnvFilter::new("node_agent=debug");
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_env_filter(filter).with_writer(|| ThisThread);
        subscriber.init();
    });
    WRITTEN.set(Some(Vec::new()));
    Log(())
}

impl Log {
    /// Somebody who reads the log finds this message.
    pub fn says(&self, message: &str) {
        let text = WRITTEN.with_borrow(|written| written.clone().unwrap_or_default());
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains(message), "{message:?} is missing in the log:\n{text}");
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        WRITTEN.set(None);
    }
}

struct ThisThread;

impl Write for ThisThread {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        WRITTEN.with_borrow_mut(|written| written.as_mut().map(|written| written.extend(text)));
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
