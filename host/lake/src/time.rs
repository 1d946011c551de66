//! Time columns: what types they have and how their values compare with nanoseconds.

use std::borrow::Cow;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Date32Type, Date64Type, TimeUnit};
use arrow::datatypes::{
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use tidemill_plan::Time;

/// The unit of a time column's integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeKind {
    Stamp(TimeUnit),
    Date32,
    Date64,
}

impl TimeKind {
    /// `None` when the type is not a time.
    pub(crate) fn of(data_type: &DataType) -> Option<Self> {
        if let DataType::Timestamp(unit, _) = data_type {
            Some(Self::Stamp(*unit))
        } else if *data_type == DataType::Date32 {
            Some(Self::Date32)
        } else if *data_type == DataType::Date64 {
            Some(Self::Date64)
        } else {
            None
        }
    }

    fn ns_per_unit(self) -> i64 {
        match self {
            Self::Stamp(TimeUnit::Second) => 1_000_000_000,
            Self::Stamp(TimeUnit::Millisecond) | Self::Date64 => 1_000_000,
            Self::Stamp(TimeUnit::Microsecond) => 1_000,
            Self::Stamp(TimeUnit::Nanosecond) => 1,
            Self::Date32 => 86_400_000_000_000,
        }
    }

    /// The column's integers; those under nulls mean nothing.
    pub(crate) fn values(self, array: &dyn Array) -> Cow<'_, [i64]> {
        match self {
            Self::Stamp(TimeUnit::Second) => {
                Cow::Borrowed(array.as_primitive::<TimestampSecondType>().values())
            }
            Self::Stamp(TimeUnit::Millisecond) => {
                Cow::Borrowed(array.as_primitive::<TimestampMillisecondType>().values())
            }
            Self::Stamp(TimeUnit::Microsecond) => {
                Cow::Borrowed(array.as_primitive::<TimestampMicrosecondType>().values())
            }
            Self::Stamp(TimeUnit::Nanosecond) => {
                Cow::Borrowed(array.as_primitive::<TimestampNanosecondType>().values())
            }
            Self::Date64 => Cow::Borrowed(array.as_primitive::<Date64Type>().values()),
            Self::Date32 => Cow::Owned(
                array.as_primitive::<Date32Type>().values().iter().map(|it| i64::from(*it)).collect(),
            ),
        }
    }

    /// Nanoseconds, at the end of their range where the unit reaches further.
    pub(crate) fn time(self, value: i64) -> Time {
        Time(value.saturating_mul(self.ns_per_unit()))
    }

    /// The smallest value that is not before `bound`: `value >= this` is `time(value) >= bound`.
    pub(crate) fn first_not_before(self, bound: Time) -> i64 {
        let per = self.ns_per_unit();
        let floor = bound.0.div_euclid(per);
        if bound.0.rem_euclid(per) == 0 { floor } else { floor + 1 }
    }

    /// The rows of a sorted column that lie in [start, end).
    pub(crate) fn range_of(
        self,
        array: &dyn Array,
        start: Option<Time>,
        end: Option<Time>,
    ) -> (usize, usize) {
        let values = self.values(array);
        let below = |bound: Time| {
            let bound = self.first_not_before(bound);
            values.partition_point(|it| *it < bound)
        };
        let from = start.map_or(0, below);
        let to = end.map_or(values.len(), below);
        (from, to.max(from))
    }
}

/// RFC 3339 in UTC, as people and manifests read it.
pub(crate) fn text_of(time: Time) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time.0))
        .map_or_else(|_| format!("{} ns", time.0), |it| it.to_string())
}

pub(crate) fn parse(text: &str) -> Result<Time, String> {
    let stamp: jiff::Timestamp = text.parse().map_err(|e: jiff::Error| e.to_string())?;
    i64::try_from(stamp.as_nanosecond()).map(Time).map_err(|e| format!("`{text}` is out of range: {e}"))
}

pub(crate) fn now() -> Time {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).map_or(Time(i64::MAX), Time)
}

/// `#[serde(with = "crate::time::rfc3339")]`: a time as text.
pub(crate) mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer};
    use tidemill_plan::Time;

    pub(crate) fn serialize<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::text_of(*time))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse(&text).map_err(serde::de::Error::custom)
    }
}
