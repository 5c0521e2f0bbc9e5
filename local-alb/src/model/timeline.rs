//! A value with its past, for stale reads, and with its announced future, for changes that come by themselves.

use std::time::Duration;
use tokio::time::Instant;

/// No read is staler than this, so older values are forgotten.
const KEPT: Duration = Duration::from_secs(600);

/// A value over time.
#[derive(Debug, Clone)]
pub(crate) struct Timeline<T> {
    /// Ascending in time.
    entries: Vec<(Instant, T)>,
}

impl<T> Default for Timeline<T> {
    fn default() -> Timeline<T> {
        Timeline { entries: Vec::new() }
    }
}

impl<T> Timeline<T> {
    /// The value becomes `value` now. What was announced for later is off.
    pub(crate) fn set(&mut self, now: Instant, value: T) {
        self.entries.retain(|(at, _)| *at <= now);
        self.entries.push((now, value));
        // The last one before the horizon is still current at the horizon.
        let old = self.entries.iter().take_while(|(at, _)| now.saturating_duration_since(*at) > KEPT).count();
        self.entries.drain(..old.saturating_sub(1));
    }

    /// The value will become `value` at a later time, unless something is set before.
    pub(crate) fn announce(&mut self, at: Instant, value: T) {
        self.entries.push((at, value));
    }

    /// The value at a moment; `None` before the first.
    pub(crate) fn at(&self, moment: Instant) -> Option<&T> {
        self.entries.iter().rev().find(|(at, _)| *at <= moment).map(|(_, value)| value)
    }

    /// The value that every read shows, however stale; `None` while there is more than one.
    pub(crate) fn settled(&self, now: Instant) -> Option<&T> {
        let (since, value) = self.entries.last()?;
        (now.saturating_duration_since(*since) > KEPT).then_some(value)
    }

    /// When the value that is current at a moment became so.
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
    }
}
