//! Points in time and the window of a run.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(pub i64);

impl Time {
    /// Reads RFC 3339 (`2020-01-02T09:30:00Z`), a date with a time (in UTC), or a date (its midnight in UTC).
    /// Errors: a sentence saying what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a time, as `2020-01-02` or `2020-01-02T09:30:00Z`");
        let timestamp = match text.trim().parse::<jiff::Timestamp>() {
            Ok(it) => it,
            Err(_) => {
                let civil: DateTime = text.trim().parse().ok().ok_or_else(wrong)?;
                TimeZone::UTC.to_timestamp(civil).ok().ok_or_else(wrong)?
            }
        };
        i64::try_from(timestamp.as_nanosecond())
            .map(Self)
            .ok()
            .ok_or_else(|| format!("time `{text}` is outside the years 1678 to 2261"))
    }
}

impl fmt::Display for Time {
    /// RFC 3339 in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp =
            jiff::Timestamp::from_nanosecond(self.0.into()).expect("64 bits fit into jiff's years");
        write!(f, "{timestamp}")
    }
}

/// The part of time that a run is about: `start` included, `end` excluded; no row later than `as_of` is read
/// (a row at `as_of` is).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    pub start: Option<Time>,
    pub end: Option<Time>,
    pub as_of: Option<Time>,
}

impl Window {
    /// First time that no task may read: the earlier of `end` and just after `as_of`.
    #[must_use]
    pub fn read_end(&self) -> Option<Time> {
        let after_as_of = self.as_of.map(|it| Time(it.0.saturating_add(1)));
        match (self.end, after_as_of) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// What a task's clock reads: as-of, else the end, else 0.
    #[must_use]
    pub fn logical_time(&self) -> Time {
        self.as_of.or(self.end).unwrap_or(Time(0))
    }
}
