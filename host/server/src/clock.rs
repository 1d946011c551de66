//! Times as the store and the answers have them: nanoseconds since 1970, and RFC 3339. For records only: what waits
//! or expires within this process measures time on a monotonic clock.

use jiff::Timestamp;

pub(crate) fn now() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

pub(crate) fn text(ns: i64) -> String {
    Timestamp::from_nanosecond(i128::from(ns)).map_or_else(|_| ns.to_string(), |it| it.to_string())
}
