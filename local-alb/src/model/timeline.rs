//! A value with its history, for stale reads, and with scheduled changes.

use std::time::Duration;
use tokio::time::Instant;

/// Maximum staleness of a read. Older values are dropped.
const KEPT: Duration = Duration::from_secs(600);

/// A value over time.
#[derive(Debug, Clone)]
pub(crate) struct Timeline<T> {
    /// Ordered by time.
    entries: Vec<(Instant, T)>,
}

impl<T> Default for Timeline<T> {
    fn default() -> Timeline<T> {
        Timeline { entries: Vec::new() }
    }
}

impl<T> Timeline<T> {
    /// Sets the value now, and cancels scheduled changes.
    pub(crate) fn set(&mut self, now: Instant, value: T) {
        self.entries.retain(|(at, _)| *at <= now);
        self.entries.push((now, value));
        // The last value before the horizon is still current at the horizon.
        let old = self.entries.iter().take_while(|(at, _)| now.saturating_duration_since(*at) > KEPT).count();
        self.entries.drain(..old.saturating_sub(1));
    }

    /// Schedules a change. Setting the value before then cancels it.
    pub(crate) fn announce(&mut self, at: Instant, value: T) {
        self.entries.push((at, value));
    }

    /// The value at a moment; `None` before the first value.
    pub(crate) fn at(&self, moment: Instant) -> Option<&T> {
        self.entries.iter().rev().find(|(at, _)| *at <= moment).map(|(_, value)| value)
    }

    /// The value that every read returns, however stale; `None` while reads can differ.
    pub(crate) fn settled(&self, now: Instant) -> Option<&T> {
        let (since, value) = self.entries.last()?;
        (now.saturating_duration_since(*since) > KEPT).then_some(value)
    }

    /// When the value at a moment was set.
    pub(crate) fn since(&self, moment: Instant) -> Option<Instant> {
        self.entries.iter().rev().find(|(at, _)| *at <= moment).map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_shows_the_past_and_drops_an_announcement_that_was_overtaken() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut line = Timeline::default();
        line.set(after(1), "a");
        line.announce(after(10), "b");
        assert_eq!(line.at(start), None);
        assert_eq!((line.at(after(9)), line.at(after(10))), (Some(&"a"), Some(&"b")));
        line.set(after(5), "c");
        assert_eq!((line.at(after(4)), line.at(after(20))), (Some(&"a"), Some(&"c")));
        line.set(after(2000), "d");
        assert_eq!(line.at(after(1999)), Some(&"c"));
        assert_eq!(line.entries, [(after(5), "c"), (after(2000), "d")]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_keeps_what_the_most_stale_read_may_still_show() {
        let start = Instant::now();
        let mut line = Timeline::default();
        let second = start + Duration::from_secs(1);
        line.set(start, "a");
        line.set(second, "b");
        line.set(second + KEPT, "c");
        assert_eq!(line.at(start), Some(&"a"), "it was current until the second value, which is not too old");
        assert_eq!(line.settled(second + KEPT * 2), None);
        assert_eq!(line.settled(second + KEPT * 2 + Duration::from_millis(1)), Some(&"c"));
    }
}
