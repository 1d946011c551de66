//! Format strings of the Arrow C data interface: a data type without its children, and back.

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};

/// Widest value of a fixed-size type (bytes or elements).
const FIXED_SIZE_MAX: i32 = 1 << 24;

/// What a format string says; nested types still lack their children.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Flat(DataType),
    List,
    LargeList,
    FixedSizeList(i32),
    Struct,
    Map,
}

impl Shape {
    /// How many children belong to it; `None`: any number.
    pub(crate) fn children(&self) -> Option<u32> {
        match self {
            Self::Flat(_) => Some(0),
            Self::List | Self::LargeList | Self::FixedSizeList(_) | Self::Map => Some(1),
            Self::Struct => None,
        }
    }
}

/// The format string of a type; of a dictionary that of its keys. `None` for types that do not cross.
pub(crate) fn encode(data_type: &DataType) -> Option<String> {
    let text = match data_type {
        DataType::Null => "n",
        DataType::Boolean => "b",
        DataType::Int8 => "c",
        DataType::UInt8 => "C",
        DataType::Int16 => "s",
        DataType::UInt16 => "S",
        DataType::Int32 => "i",
        DataType::UInt32 => "I",
        DataType::Int64 => "l",
        DataType::UInt64 => "L",
        DataType::Float16 => "e",
        DataType::Float32 => "f",
        DataType::Float64 => "g",
        DataType::Binary => "z",
        DataType::LargeBinary => "Z",
        DataType::BinaryView => "vz",
        DataType::Utf8 => "u",
        DataType::LargeUtf8 => "U",
        DataType::Utf8View => "vu",
        DataType::Date32 => "tdD",
        DataType::Date64 => "tdm",
        DataType::Interval(IntervalUnit::YearMonth) => "tiM",
        DataType::Interval(IntervalUnit::DayTime) => "tiD",
        DataType::Interval(IntervalUnit::MonthDayNano) => "tin",
        DataType::List(_) => "+l",
        DataType::LargeList(_) => "+L",
        DataType::Struct(_) => "+s",
        DataType::Map(_, _) => "+m",
        DataType::FixedSizeBinary(width) => return Some(format!("w:{width}")),
        DataType::FixedSizeList(_, length) => return Some(format!("+w:{length}")),
        DataType::Decimal32(precision, scale) => return Some(format!("d:{precision},{scale},32")),
        DataType::Decimal64(precision, scale) => return Some(format!("d:{precision},{scale},64")),
        DataType::Decimal128(precision, scale) => return Some(format!("d:{precision},{scale}")),
        DataType::Decimal256(precision, scale) => return Some(format!("d:{precision},{scale},256")),
        DataType::Time32(unit) | DataType::Time64(unit) => return Some(format!("tt{}", letter(*unit))),
        DataType::Duration(unit) => return Some(format!("tD{}", letter(*unit))),
        DataType::Timestamp(unit, zone) => {
            return Some(format!("ts{}:{}", letter(*unit), zone.as_deref().unwrap_or_default()));
        }
        DataType::Dictionary(key, _) => return encode(key),
        DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::Union(_, _)
        | DataType::RunEndEncoded(_, _) => return None,
    };
    Some(text.to_owned())
}

/// Reads a format string; `None` for an unknown one and for types that do not cross.
pub(crate) fn decode(format: &str) -> Option<Shape> {
    let flat = match format {
        "n" => DataType::Null,
        "b" => DataType::Boolean,
        "c" => DataType::Int8,
        "C" => DataType::UInt8,
        "s" => DataType::Int16,
        "S" => DataType::UInt16,
        "i" => DataType::Int32,
        "I" => DataType::UInt32,
        "l" => DataType::Int64,
        "L" => DataType::UInt64,
        "e" => DataType::Float16,
        "f" => DataType::Float32,
        "g" => DataType::Float64,
        "z" => DataType::Binary,
        "Z" => DataType::LargeBinary,
        "vz" => DataType::BinaryView,
        "u" => DataType::Utf8,
        "U" => DataType::LargeUtf8,
        "vu" => DataType::Utf8View,
        "tdD" => DataType::Date32,
        "tdm" => DataType::Date64,
        "tts" => DataType::Time32(TimeUnit::Second),
        "ttm" => DataType::Time32(TimeUnit::Millisecond),
        "ttu" => DataType::Time64(TimeUnit::Microsecond),
        "ttn" => DataType::Time64(TimeUnit::Nanosecond),
        "tiM" => DataType::Interval(IntervalUnit::YearMonth),
        "tiD" => DataType::Interval(IntervalUnit::DayTime),
        "tin" => DataType::Interval(IntervalUnit::MonthDayNano),
        "+l" => return Some(Shape::List),
        "+L" => return Some(Shape::LargeList),
        "+s" => return Some(Shape::Struct),
        "+m" => return Some(Shape::Map),
        parameterised => return decode_parameterised(parameterised),
    };
    Some(Shape::Flat(flat))
}

fn decode_parameterised(format: &str) -> Option<Shape> {
    if let Some(width) = format.strip_prefix("w:") {
        return fixed_size(width).map(|it| Shape::Flat(DataType::FixedSizeBinary(it)));
    }
    if let Some(length) = format.strip_prefix("+w:") {
        return fixed_size(length).map(Shape::FixedSizeList);
    }
    if let Some(decimal) = format.strip_prefix("d:") {
        return decode_decimal(decimal).map(Shape::Flat);
    }
    if let Some(duration) = format.strip_prefix("tD") {
        return unit(duration).map(|it| Shape::Flat(DataType::Duration(it)));
    }
    let (unit_letter, zone) = format.strip_prefix("ts")?.split_once(':')?;
    let zone = (!zone.is_empty()).then(|| zone.into());
    Some(Shape::Flat(DataType::Timestamp(unit(unit_letter)?, zone)))
}

fn fixed_size(text: &str) -> Option<i32> {
    text.parse().ok().filter(|it| (0..=FIXED_SIZE_MAX).contains(it))
}

fn decode_decimal(text: &str) -> Option<DataType> {
    let mut parts = text.split(',');
    let precision: u8 = parts.next()?.parse().ok()?;
    let scale: i8 = parts.next()?.parse().ok()?;
    let bits = parts.next().unwrap_or("128");
    let (data_type, precision_max) = match bits {
        "32" => (DataType::Decimal32(precision, scale), 9),
        "64" => (DataType::Decimal64(precision, scale), 18),
        "128" => (DataType::Decimal128(precision, scale), 38),
        "256" => (DataType::Decimal256(precision, scale), 76),
        _ => return None,
    };
    let fits = (1..=precision_max).contains(&precision) && i16::from(scale) <= i16::from(precision);
    (parts.next().is_none() && fits).then_some(data_type)
}

fn letter(unit: TimeUnit) -> char {
    match unit {
        TimeUnit::Second => 's',
        TimeUnit::Millisecond => 'm',
        TimeUnit::Microsecond => 'u',
        TimeUnit::Nanosecond => 'n',
    }
}

fn unit(letter: &str) -> Option<TimeUnit> {
    match letter {
        "s" => Some(TimeUnit::Second),
        "m" => Some(TimeUnit::Millisecond),
        "u" => Some(TimeUnit::Microsecond),
        "n" => Some(TimeUnit::Nanosecond),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flat_format_reads_back_as_itself() {
        for format in [
            "n",
            "b",
            "c",
            "C",
            "s",
            "S",
            "i",
            "I",
            "l",
            "L",
            "e",
            "f",
            "g",
            "z",
            "Z",
            "vz",
            "u",
            "U",
            "vu",
            "tdD",
            "tdm",
            "tts",
            "ttm",
            "ttu",
            "ttn",
            "tDs",
            "tDm",
            "tDu",
            "tDn",
            "tiM",
            "tiD",
            "tin",
            "tss:",
            "tsm:UTC",
            "tsu:Europe/Berlin",
            "tsn:+01:00",
            "w:0",
            "w:16",
            "d:9,2,32",
            "d:18,-3,64",
            "d:38,10",
            "d:76,0,256",
        ] {
            let Some(Shape::Flat(data_type)) = decode(format) else { panic!("`{format}` was not read") };
            assert_eq!(encode(&data_type).as_deref(), Some(format));
        }
    }

    #[test]
    fn what_is_unknown_or_out_of_range_is_refused() {
        for format in [
            "",
            "?",
            "w:",
            "w:-1",
            "w:99999999999",
            "+w:-1",
            "d:",
            "d:10",
            "d:39,0",
            "d:10,11",
            "d:10,2,24",
            "d:1,1,32,5",
            "ts",
            "tsu",
            "tsx:UTC",
            "tDq",
            "+r",
            "+vl",
            "+ud:0,1",
            "g ",
            "ä",
        ] {
            assert_eq!(decode(format), None, "{format}");
        }
    }
}
