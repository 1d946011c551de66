//! Column types as pipelines write them: `float64`, `timestamp[us, UTC]`, `decimal128(20, 4)`.

use arrow_schema::{DataType, TimeUnit};

const PLAIN: [(&str, DataType); 15] = [
    ("boolean", DataType::Boolean),
    ("int8", DataType::Int8),
    ("int16", DataType::Int16),
    ("int32", DataType::Int32),
    ("int64", DataType::Int64),
    ("uint8", DataType::UInt8),
    ("uint16", DataType::UInt16),
    ("uint32", DataType::UInt32),
    ("uint64", DataType::UInt64),
    ("float32", DataType::Float32),
    ("float64", DataType::Float64),
    ("utf8", DataType::Utf8),
    ("large_utf8", DataType::LargeUtf8),
    ("binary", DataType::Binary),
    ("date32", DataType::Date32),
];

const UNITS: [(&str, TimeUnit); 4] = [
    ("s", TimeUnit::Second),
    ("ms", TimeUnit::Millisecond),
    ("us", TimeUnit::Microsecond),
    ("ns", TimeUnit::Nanosecond),
];

/// Names to offer where one is unknown.
pub(crate) fn data_type_names() -> impl Iterator<Item = &'static str> + Clone {
    PLAIN.iter().map(|(name, _)| *name).chain(["timestamp[us, UTC]", "timestamp[ns]", "decimal128(p, s)"])
}

/// The type that a text of `ColumnSpec::data_type` names.
#[must_use]
pub fn data_type(text: &str) -> Option<DataType> {
    if let Some((_, found)) = PLAIN.iter().find(|(name, _)| *name == text) {
        return Some(found.clone());
    }
    if let Some(inside) = text.strip_prefix("timestamp[").and_then(|it| it.strip_suffix(']')) {
        let (unit, zone) = match inside.split_once(',') {
            Some((unit, zone)) => (unit.trim(), Some(zone.trim())),
            None => (inside.trim(), None),
        };
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
        return match zone {
            Some("") => None,
            zone => Some(DataType::Timestamp(*unit, zone.map(Into::into))),
        };
    }
    let inside = text.strip_prefix("decimal128(").and_then(|it| it.strip_suffix(')'))?;
    let (precision, scale) = inside.split_once(',')?;
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    (1..=38).contains(&precision).then_some(DataType::Decimal128(precision, scale))
}

/// The text that names a type; Arrow's own where pipelines have none.
#[must_use]
pub fn data_type_name(data_type: &DataType) -> String {
    if let Some((name, _)) = PLAIN.iter().find(|(_, it)| it == data_type) {
        return (*name).to_owned();
    }
    let unit_name = |unit: &TimeUnit| UNITS.iter().find(|(_, it)| it == unit).map_or("?", |(name, _)| *name);
    if let DataType::Timestamp(unit, zone) = data_type {
        return match zone {
            Some(zone) => format!("timestamp[{}, {zone}]", unit_name(unit)),
            None => format!("timestamp[{}]", unit_name(unit)),
        };
    }
    if let DataType::Decimal128(precision, scale) = data_type {
        return format!("decimal128({precision}, {scale})");
    }
    data_type.to_string()
}
