//! The folder of a window: `<start>_<end>`, absent bounds as `open`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tidemill_plan::{Time, Window};

/// Where in a lake the tables of a window lie. As-of is not part of it: it enters the cache key instead, so that a
/// daily run replaces its table rather than leaving one folder a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WindowFolder {
    pub start: Option<Time>,
    pub end: Option<Time>,
}

impl WindowFolder {
    #[must_use]
    pub fn of(window: &Window) -> Self {
        Self { start: window.start, end: window.end }
    }
}

impl fmt::Display for WindowFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", bound_text(self.start), bound_text(self.end))
    }
}

/// `20200102` at midnight UTC, else `20200102T093000Z`, with as many digits of the second as it needs.
fn bound_text(bound: Option<Time>) -> String {
    let Some(time) = bound else { return "open".into() };
    let stamp =
        jiff::Timestamp::from_nanosecond(i128::from(time.0)).expect("64-bit nanoseconds are in jiff's range");
    let civil = stamp.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    let format = if civil.time() == jiff::civil::Time::midnight() { "%Y%m%d" } else { "%Y%m%dT%H%M%S%.fZ" };
    civil.strftime(format).to_string()
}

impl FromStr for WindowFolder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not the name of a window's folder");
        let (start, end) = text.split_once('_').ok_or_else(wrong)?;
        let folder =
            Self { start: parse_bound(start).ok_or_else(wrong)?, end: parse_bound(end).ok_or_else(wrong)? };
        // One window has one folder: spellings that we do not write are not ours.
        if folder.to_string() == text { Ok(folder) } else { Err(wrong()) }
    }
}

fn parse_bound(text: &str) -> Option<Option<Time>> {
    if text == "open" {
        return Some(None);
    }
    let civil = match text.strip_suffix('Z') {
        None => jiff::civil::Date::strptime("%Y%m%d", text).ok()?.to_datetime(jiff::civil::Time::midnight()),
        Some(text) => jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S%.f", text).ok()?,
    };
    let stamp = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    i64::try_from(stamp.as_nanosecond()).ok().map(|it| Some(Time(it)))
}

impl TryFrom<String> for WindowFolder {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<WindowFolder> for String {
    fn from(folder: WindowFolder) -> Self {
        folder.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(start: Option<&str>, end: Option<&str>, expected: &str) {
        let time = |text: &str| crate::time::parse(text).unwrap();
        let folder = WindowFolder { start: start.map(time), end: end.map(time) };
        assert_eq!(folder.to_string(), expected);
        assert_eq!(expected.parse::<WindowFolder>().unwrap(), folder);
    }

    #[test]
    fn windows_have_short_names() {
        check(None, None, "open_open");
        check(Some("2020-01-02T00:00:00Z"), None, "20200102_open");
        check(Some("2020-01-02T00:00:00Z"), Some("2020-01-03T09:30:00Z"), "20200102_20200103T093000Z");
        check(None, Some("1969-12-31T23:59:59.5Z"), "open_19691231T235959.5Z");
        check(None, Some("2020-01-02T00:00:00.000000001Z"), "open_20200102T000000.000000001Z");
    }

    #[test]
    fn other_folders_are_not_windows() {
        for text in
            ["runs", "open", "20200102", "20200102T000000Z_open", "open_open_open", "2020-01-02_open", ""]
        {
            assert!(text.parse::<WindowFolder>().is_err(), "{text}");
        }
    }
}
