//! Sizes, counts, durations and times as people read and type them.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use tidemill_plan::{Code, Problem, Time};

pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(value < 10.0);
    format!("{value:.digits$} {}", UNITS[unit])
}

/// `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A few digits: `0.0625`, `1.234e-9`.
pub(crate) fn real(number: f64) -> String {
    /// Beyond these, zeros would hide the digits.
    const PLAIN: std::ops::Range<f64> = 1e-4..1e9;
    if number.abs() > 0.0 && !PLAIN.contains(&number.abs()) {
        return format!("{number:.4e}");
    }
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `1 row`, `1,234 rows`.
pub(crate) fn rows(number: u64) -> String {
    format!("{} {}", count(number), if number == 1 { "row" } else { "rows" })
}

pub(crate) fn duration(it: Duration) -> String {
    let seconds = it.as_secs_f64();
    if seconds < 0.001 {
        format!("{} µs", it.as_micros())
    } else if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1e3)
    } else if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else if seconds < 3600.0 {
        format!("{}m{:02}s", it.as_secs() / 60, it.as_secs() % 60)
    } else {
        format!("{}h{:02}m", it.as_secs() / 3600, it.as_secs() / 60 % 60)
    }
}

/// How long ago, coarsely: `3 s`, `5 min`, `2 h`, `4 d`.
pub(crate) fn age(it: Duration) -> String {
    match it.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// A time as RFC 3339; midnight as a date.
pub(crate) fn time(it: Time) -> String {
    let Ok(timestamp) = Timestamp::from_nanosecond(i128::from(it.0)) else { return it.0.to_string() };
    let civil = TimeZone::UTC.to_datetime(timestamp);
    if civil.time() == jiff::civil::Time::midnight() {
        civil.date().to_string()
    } else {
        timestamp.to_string()
    }
}

/// Reads a date, a date and time (UTC), or RFC 3339, from a flag.
pub(crate) fn parse_time(flag: &str, text: &str) -> Result<Time, Problem> {
    Time::parse(text).map_err(|reason| {
        Problem::new(
            Code("bad-time"),
            format!("`{flag}`: {reason}"),
            "write a date such as `2020-01-02`, or a time such as `2020-01-02T09:30:00Z`",
        )
    })
}

/// Reads `7d`, `12h`, `30m`, `45s`.
pub(crate) fn parse_age(flag: &str, text: &str) -> Result<Duration, Problem> {
    let split = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "s" => Some(1),
        "m" | "min" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        "w" => Some(604_800),
        _ => None,
    };
    let parsed = number.parse::<u64>().ok().zip(seconds).and_then(|(number, unit)| number.checked_mul(unit));
    parsed.map(Duration::from_secs).ok_or_else(|| {
        Problem::new(
            Code("bad-age"),
            format!("`{flag}` is `{text}`, which is no age"),
            "write a number and a unit, such as `7d`, `12h`, `30m` or `45s`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_as_people_write_them() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(300 << 20), "300 MiB");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(12), "12");
        assert_eq!([real(0.0), real(10.0), real(0.0625), real(1.5e-9)], ["0", "10", "0.0625", "1.5000e-9"]);
        assert_eq!((rows(1), rows(1000)), ("1 row".to_owned(), "1,000 rows".to_owned()));
        assert_eq!(duration(Duration::from_millis(1500)), "1.5 s");
        assert_eq!(duration(Duration::from_secs(125)), "2m05s");
    }

    #[test]
    fn a_time_may_be_a_date_or_carry_an_offset() {
        let day = parse_time("--start", "2020-01-02").expect("a date");
        assert_eq!(time(day), "2020-01-02");
        assert_eq!(parse_time("--start", "2020-01-02T01:00+01:00").expect("an offset"), day);
        let problem = parse_time("--start", "yesterday").expect_err("no time");
        assert!(problem.to_string().contains("`--start`: `yesterday` is not a time"), "{problem}");
    }

    #[test]
    fn an_age_needs_a_unit() {
        assert_eq!(parse_age("--older-than", "2d").expect("an age"), Duration::from_secs(172_800));
        assert!(parse_age("--older-than", "2").is_err());
    }
}
