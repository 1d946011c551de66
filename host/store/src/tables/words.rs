//! Values as DuckLake spells them.

use jiff::Timestamp;
use tidemill_plan::Digest;

use crate::StoreError;

/// A time with microseconds, in UTC.
pub(super) fn time_text(at_ns: i64) -> Result<String, StoreError> {
    let time = Timestamp::from_nanosecond(i128::from(at_ns)).map_err(|e| StoreError::unreadable(&e))?;
    Ok(time.strftime("%Y-%m-%d %H:%M:%S.%6f+00").to_string())
}

/// The reverse, as other programs may have written it: with any number of digits, in any zone.
pub(super) fn time_of(text: &str) -> Result<i64, StoreError> {
    // A zone of whole hours may come without minutes.
    let is_short =
        text.len().checked_sub(3).and_then(|at| text.get(at..)).is_some_and(|it| it.starts_with(['+', '-']));
    let full = if is_short { format!("{text}:00") } else { text.to_owned() };
    let time = Timestamp::strptime("%Y-%m-%d %H:%M:%S%.f%:z", full);
    let time = time.map_err(|e| StoreError::unreadable(&format!("the time `{text}` of a snapshot: {e}")))?;
    i64::try_from(time.as_nanosecond()).map_err(|e| StoreError::unreadable(&e))
}

/// A UUID (version 8: made of a digest) that is another for other seeds.
pub(super) fn uuid_of(seed: &str) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Digest::of(seed.as_bytes()).0[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|it| format!("{it:02x}")).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// A name within `ducklake_snapshot_changes`.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_duckdb_writes_them() {
        let at = 1_790_000_000_123_456_000;
        assert_eq!(time_text(at).unwrap(), "2026-09-21 14:13:20.123456+00");
        assert_eq!(time_of("2026-09-21 14:13:20.123456+00").unwrap(), at);
        assert_eq!(time_of("2026-09-21 19:43:20.123456+05:30").unwrap(), at);
        assert_eq!(time_of("2026-09-21 14:13:20+00").unwrap(), 1_790_000_000_000_000_000);
        assert!(time_of("yesterday").is_err());
    }

    #[test]
    fn uuids_have_the_form_of_uuids() {
        let it = uuid_of("a");
        assert_eq!(it.len(), 36);
        assert_eq!(it.get(14..15), Some("8"));
        assert_ne!(it, uuid_of("b"));
    }
}
