//! Two kinds of time: lengths that people write, and moments that outlive a process.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The longest length that is accepted: sums of lengths then stay far from any overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// A length of time as people write it: `500ms`, `30s`, `2m 30s`, `4h`; a year at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Length(pub Duration);

impl Length {
    /// A length of whole seconds.
    pub const fn from_secs(seconds: u64) -> Length {
        Length(Duration::from_secs(seconds))
    }
}

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Length, String> {
        let parsed = text.parse::<SignedDuration>().ok().and_then(|length| Duration::try_from(length).ok());
        parsed
            .filter(|length| *length <= LONGEST)
            .map(Length)
            .ok_or_else(|| format!("{text:?} is not a length of time such as 500ms, 30s, 10m or 4h"))
    }
}

impl TryFrom<String> for Length {
    type Error = String;

    fn try_from(text: String) -> Result<Length, String> {
        text.parse()
    }
}

impl From<Length> for String {
    fn from(length: Length) -> String {
        length.to_string()
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only a length that nobody could have written is too long to print.
        let signed = SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX);
        f.pad(&format!("{signed:#}"))
    }
}

/// A moment that can be compared later, also by another process and after a reboot.
///
/// Measured with CLOCK_BOOTTIME, which cannot be set and counts suspended time. The wall clock is kept for people only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The boot in which it was measured.
    pub boot_id: String,
    /// Milliseconds since that boot.
    pub uptime_ms: u64,
    /// The wall clock.
    pub utc: Timestamp,
}

impl Moment {
    /// The minimum time that has passed from this moment to `now`: after a reboot only the time since the boot is known.
    pub fn at_least_until(&self, now: &Moment) -> Duration {
        let since = if self.boot_id == now.boot_id { self.uptime_ms } else { 0 };
        Duration::from_millis(now.uptime_ms.saturating_sub(since))
    }

    /// Whether both were measured in the same boot.
    pub fn same_boot(&self, other: &Moment) -> bool {
        self.boot_id == other.boot_id
    }
}

/// The age of a moment for people, in its two largest units: `3 min ago`, `2 h 5 min ago`.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - at.as_second();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        // A clock is wrong. Only this text depends on it.
        ..0 => "in the future".to_owned(),
        0..60 => format!("{seconds} s ago"),
        60..3600 => format!("{minutes} min ago"),
        3600..86_400 => format!("{hours} h {} min ago", minutes % 60),
        _ => format!("{days} d {} h ago", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_printed_as_people_write_them() {
        for (text, seconds) in [("30s", 30), ("4h", 14_400), ("2m 30s", 150), ("90 seconds", 90)] {
            let length: Length = text.parse().unwrap();
            assert_eq!(length, Length::from_secs(seconds));
            assert_eq!(length.to_string().parse(), Ok(length));
        }
        assert_eq!("500ms".parse(), Ok(Length(Duration::from_millis(500))));
        for bad in ["", "soon", "-5s", "30", "9000h"] {
            let error = bad.parse::<Length>().unwrap_err();
            assert!(error.contains("such as 500ms"), "{error}");
        }
    }

    #[test]
    fn after_a_reboot_only_the_time_since_the_boot_is_known() {
        let moment =
            |boot: &str, uptime_ms| Moment { boot_id: boot.into(), uptime_ms, utc: Timestamp::UNIX_EPOCH };
        assert_eq!(moment("a", 1000).at_least_until(&moment("a", 4000)), Duration::from_secs(3));
        assert_eq!(moment("a", 9000).at_least_until(&moment("b", 4000)), Duration::from_secs(4));
    }

    #[test]
    fn ages_are_shown_in_their_two_largest_units() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let age = |seconds: i64| ago(Timestamp::from_second(1_000_000 - seconds).unwrap(), now);
        assert_eq!([age(0), age(59), age(200)], ["0 s ago", "59 s ago", "3 min ago"]);
        assert_eq!([age(7_500), age(180_000), age(-5)], ["2 h 5 min ago", "2 d 2 h ago", "in the future"]);
    }
}
