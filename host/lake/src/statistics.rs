//! What a catalogue wants to know of the columns of a file, and of a table as a whole: how many values, least and
//! greatest, spelled as DuckDB spells them. A bound that is not exact is left out.

#![expect(clippy::wildcard_enum_match_arm, reason = "Arrow's types: the rest has no bounds")]

use std::cmp::Ordering;
use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type, Schema, TimeUnit};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::statistics::Statistics;

use crate::Manifest;
use crate::manifest::{ColumnStatistics, PartStatistics};

/// Takes note of values that are not numbers, which a file does not tell of.
#[derive(Debug)]
pub(crate) struct Nans {
    /// By column id, of those that may have any.
    found: BTreeMap<i64, bool>,
}

impl Nans {
    pub(crate) fn new(schema: &Schema) -> Self {
        let mut leaves = BTreeMap::new();
        for field in schema.fields() {
            leaf_types(field.data_type(), field_id(field.metadata()), &mut leaves);
        }
        let floats = leaves.into_iter().filter(|(_, it)| it.is_floating());
        Self { found: floats.map(|(id, _)| (id, false)).collect() }
    }

    /// `columns` have the file's types, which carry the ids.
    pub(crate) fn look_at(&mut self, schema: &Schema, columns: &[ArrayRef]) {
        if self.found.is_empty() {
            return;
        }
        for (field, column) in schema.fields().iter().zip(columns) {
            self.look_into(column, field_id(field.metadata()));
        }
    }

    fn look_into(&mut self, array: &ArrayRef, id: Option<i64>) {
        let has_nan = match array.data_type() {
            // A bit pattern under a null counts here too: saying that there may be one does no harm.
            DataType::Float64 => array.as_primitive::<Float64Type>().values().iter().any(|it| it.is_nan()),
            DataType::Float32 => array.as_primitive::<Float32Type>().values().iter().any(|it| it.is_nan()),
            DataType::Float16 => array.as_primitive::<Float16Type>().values().iter().any(|it| it.is_nan()),
            DataType::List(field) => {
                return self.look_into(array.as_list::<i32>().values(), field_id(field.metadata()));
            }
            DataType::LargeList(field) => {
                return self.look_into(array.as_list::<i64>().values(), field_id(field.metadata()));
            }
            DataType::FixedSizeList(field, _) => {
                return self.look_into(array.as_fixed_size_list().values(), field_id(field.metadata()));
            }
            DataType::Struct(fields) => {
                for (field, child) in fields.iter().zip(array.as_struct().columns()) {
                    self.look_into(child, field_id(field.metadata()));
                }
                return;
            }
            DataType::Map(_, _) => {
                let entries = array.as_map().entries();
                for (field, child) in entries.fields().iter().zip(entries.columns()) {
                    self.look_into(child, field_id(field.metadata()));
                }
                return;
            }
            _ => return,
        };
        if let Some(found) = id.and_then(|it| self.found.get_mut(&it)) {
            *found |= has_nan;
        }
    }
}

fn field_id(metadata: &std::collections::HashMap<String, String>) -> Option<i64> {
    metadata.get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}

/// The types of the columns that have no others inside, by id.
fn leaf_types(data_type: &DataType, id: Option<i64>, leaves: &mut BTreeMap<i64, DataType>) {
    let mut inside = |fields: &[arrow::datatypes::FieldRef]| {
        for it in fields {
            leaf_types(it.data_type(), field_id(it.metadata()), leaves);
        }
    };
    match data_type {
        DataType::List(it) | DataType::LargeList(it) | DataType::FixedSizeList(it, _) => {
            inside(std::slice::from_ref(it));
        }
        DataType::Struct(fields) => inside(fields),
        DataType::Map(entries, _) => leaf_types(entries.data_type(), None, leaves),
        DataType::Dictionary(_, values) => leaf_types(values, id, leaves),
        other => drop(id.map(|it| leaves.insert(it, other.clone()))),
    }
}

/// What a file that was just written holds. `schema` is the file's.
pub(crate) fn of_file(
    metadata: &ParquetMetaData,
    schema: &Schema,
    nans: &Nans,
    footer_bytes: u64,
) -> PartStatistics {
    let mut leaves = BTreeMap::new();
    for field in schema.fields() {
        leaf_types(field.data_type(), field_id(field.metadata()), &mut leaves);
    }
    let parquet = metadata.file_metadata().schema_descr();
    let columns = (0..parquet.num_columns()).filter_map(|position| {
        let about = parquet.column(position).self_type().get_basic_info().clone();
        let id = about.has_id().then(|| i64::from(about.id()))?;
        let data_type = leaves.get(&id)?;
        let chunks = metadata.row_groups().iter().map(|it| it.column(position));
        Some(of_column(id, data_type, chunks, nans.found.get(&id).copied()))
    });
    PartStatistics { footer_bytes, columns: columns.collect() }
}

fn of_column<'a>(
    id: i64,
    data_type: &DataType,
    chunks: impl Iterator<Item = &'a ColumnChunkMetaData>,
    has_nan: Option<bool>,
) -> ColumnStatistics {
    let mut bounds = Merged::new(order_of(data_type));
    let mut column = ColumnStatistics { id, bytes: 0, values: 0, nulls: 0, min: None, max: None, has_nan };
    for it in chunks {
        let nulls = it.statistics().and_then(Statistics::null_count_opt).unwrap_or(0);
        let values = u64::try_from(it.num_values()).unwrap_or(0).saturating_sub(nulls);
        column.bytes += u64::try_from(it.compressed_size()).unwrap_or(0);
        column.nulls += nulls;
        column.values += values;
        if values > 0 {
            bounds.add(it.statistics().and_then(|it| bounds_text(it, data_type)));
        }
    }
    (column.min, column.max) = bounds.finish();
    column
}

/// What is known of a column in a whole table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub id: i64,
    pub has_null: bool,
    pub has_nan: Option<bool>,
    pub min: Option<String>,
    pub max: Option<String>,
}

impl Manifest {
    /// Of each column that has no others inside; none where a file of another program is among the parts.
    #[must_use]
    pub fn bounds(&self) -> Vec<Bounds> {
        let mut columns: BTreeMap<i64, (Bounds, Merged, usize)> = BTreeMap::new();
        let types: BTreeMap<i64, String> =
            self.catalog_columns().into_iter().map(|it| (it.id, it.data_type)).collect();
        let parts: Vec<_> = self.parts.iter().filter(|it| it.rows() > 0).collect();
        for part in &parts {
            let Some(statistics) = &part.statistics else { return Vec::new() };
            for it in &statistics.columns {
                // A column that the table no longer has.
                let Some(data_type) = types.get(&it.id) else { continue };
                let entry = columns.entry(it.id).or_insert_with(|| {
                    let bounds = Bounds { id: it.id, has_null: false, has_nan: None, min: None, max: None };
                    (bounds, Merged::new(order_named(data_type)), 0)
                });
                entry.0.has_null |= it.nulls > 0;
                entry.0.has_nan = entry.0.has_nan.max(it.has_nan);
                if it.values > 0 {
                    entry.1.add(it.min.clone().zip(it.max.clone()));
                }
                entry.2 += 1;
            }
        }
        let finished = columns.into_values().map(|(mut bounds, merged, seen)| {
            // Parts from before the column was there have nulls for it.
            bounds.has_null |= seen < parts.len();
            (bounds.min, bounds.max) = merged.finish();
            bounds
        });
        finished.collect()
    }
}

/// How texts of values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// As texts: times are written so that this is right.
    Text,
    Integer,
    Float,
    /// As integers once the point is out: all have the same number of digits after it.
    Decimal,
}

fn order_of(data_type: &DataType) -> Order {
    match data_type {
        DataType::Decimal128(_, _) | DataType::Decimal256(_, _) => Order::Decimal,
        it if it.is_floating() => Order::Float,
        it if it.is_integer() => Order::Integer,
        _ => Order::Text,
    }
}

fn order_named(text: &str) -> Order {
    crate::ducklake::type_from_text(text).map_or(Order::Text, |it| order_of(&it))
}

impl Order {
    fn compare(self, a: &str, b: &str) -> Ordering {
        let number = |it: &str| it.replace('.', "").parse::<i128>().unwrap_or(0);
        let float = |it: &str| it.parse::<f64>().unwrap_or(0.0);
        match self {
            Self::Text => a.cmp(b),
            Self::Integer | Self::Decimal => number(a).cmp(&number(b)),
            Self::Float => float(a).total_cmp(&float(b)),
        }
    }
}

/// Least and greatest of several; nothing once one of them is not known.
#[derive(Debug)]
struct Merged {
    order: Order,
    bounds: Option<(String, String)>,
    is_unknown: bool,
}

impl Merged {
    fn new(order: Order) -> Self {
        Self { order, bounds: None, is_unknown: false }
    }

    fn add(&mut self, other: Option<(String, String)>) {
        let Some((min, max)) = other else {
            self.is_unknown = true;
            return;
        };
        self.bounds = Some(match self.bounds.take() {
            None => (min, max),
            Some((a, b)) => (
                if self.order.compare(&min, &a).is_lt() { min } else { a },
                if self.order.compare(&max, &b).is_gt() { max } else { b },
            ),
        });
    }

    fn finish(self) -> (Option<String>, Option<String>) {
        if self.is_unknown { (None, None) } else { self.bounds.unzip() }
    }
}

fn bounds_text(statistics: &Statistics, data_type: &DataType) -> Option<(String, String)> {
    if !statistics.min_is_exact() || !statistics.max_is_exact() {
        return None;
    }
    match statistics {
        Statistics::Boolean(it) => Some((flag_text(*it.min_opt()?), flag_text(*it.max_opt()?))),
        Statistics::Int32(it) => {
            let text = |it: &i32| integer_text(i64::from(*it), data_type);
            Some((text(it.min_opt()?)?, text(it.max_opt()?)?))
        }
        Statistics::Int64(it) => {
            Some((integer_text(*it.min_opt()?, data_type)?, integer_text(*it.max_opt()?, data_type)?))
        }
        Statistics::Float(it) => Some((format!("{:?}", it.min_opt()?), format!("{:?}", it.max_opt()?))),
        Statistics::Double(it) => Some((format!("{:?}", it.min_opt()?), format!("{:?}", it.max_opt()?))),
        Statistics::Int96(_) => None,
        Statistics::ByteArray(_) | Statistics::FixedLenByteArray(_) => Some((
            bytes_text(statistics.min_bytes_opt()?, data_type)?,
            bytes_text(statistics.max_bytes_opt()?, data_type)?,
        )),
    }
}

fn flag_text(it: bool) -> String {
    i32::from(it).to_string()
}

/// What Parquet keeps as an integer.
fn integer_text(value: i64, data_type: &DataType) -> Option<String> {
    let text = match data_type {
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => {
            u32::try_from(value & 0xffff_ffff).ok()?.to_string()
        }
        DataType::UInt64 => value.cast_unsigned().to_string(),
        DataType::Date32 => date_text(value)?,
        DataType::Time32(TimeUnit::Millisecond) => clock_text(value.checked_mul(1_000_000)?)?,
        DataType::Time64(TimeUnit::Microsecond) => clock_text(value.checked_mul(1_000)?)?,
        // DuckDB's clock has microseconds.
        DataType::Time64(_) => return None,
        DataType::Timestamp(unit, zone) => stamp_text(value, *unit, zone.is_some())?,
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
            decimal_text(i128::from(value), *scale)
        }
        it if it.is_integer() => value.to_string(),
        _ => return None,
    };
    Some(text)
}

fn bytes_text(bytes: &[u8], data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let text = str::from_utf8(bytes).ok()?;
            // PostgreSQL keeps no such text.
            (!text.contains('\0')).then(|| text.to_owned())
        }
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
            // Big-endian two's complement, of up to 38 digits.
            let (first, rest) = bytes.split_first()?;
            let sign = if first & 0x80 == 0 { 0_i128 } else { -1 };
            let start = sign << 8 | i128::from(*first);
            let fold = |value: i128, it: &u8| value.checked_mul(256).map(|value| value | i128::from(*it));
            let value = rest.iter().try_fold(start, fold)?;
            Some(decimal_text(value, *scale))
        }
        DataType::Float16 => None,
        _ => Some(bytes.iter().map(|it| format!("{it:02X}")).collect()),
    }
}

fn decimal_text(value: i128, scale: i8) -> String {
    let scale = usize::try_from(scale).unwrap_or(0);
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

fn date_text(days: i64) -> Option<String> {
    let date = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().try_days(days).ok()?).ok()?;
    (date.year() >= 0).then(|| date.strftime("%Y-%m-%d").to_string())
}

fn clock_text(nanoseconds: i64) -> Option<String> {
    let span = jiff::Span::new().try_nanoseconds(nanoseconds).ok()?;
    let time = jiff::civil::Time::midnight().checked_add(span).ok()?;
    Some(time.strftime("%H:%M:%S%.f").to_string())
}

/// Years of four digits only: then texts compare as times do.
fn stamp_text(value: i64, unit: TimeUnit, has_zone: bool) -> Option<String> {
    let per_unit: i128 = match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    let time = jiff::Timestamp::from_nanosecond(i128::from(value) * per_unit).ok()?;
    let civil = time.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    if civil.year() < 0 {
        return None;
    }
    if has_zone && unit == TimeUnit::Nanosecond && value % 1_000 != 0 {
        // DuckDB keeps microseconds in a zone: these bounds would be too fine for it.
        return None;
    }
    let text = civil.strftime("%Y-%m-%d %H:%M:%S%.f").to_string();
    Some(if has_zone { format!("{text}+00") } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_spelled_as_duckdb_spells_them() {
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        assert_eq!(integer_text(1_577_836_800_000_000, &micros).unwrap(), "2020-01-01 00:00:00");
        assert_eq!(integer_text(1_577_836_800_500_000, &micros).unwrap(), "2020-01-01 00:00:00.5");
        let zoned = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        assert_eq!(integer_text(500, &zoned).unwrap(), "1970-01-01 00:00:00.5+00");
        assert_eq!(integer_text(-1, &DataType::Date32).unwrap(), "1969-12-31");
        assert_eq!(integer_text(-1, &DataType::UInt64).unwrap(), "18446744073709551615");
        assert_eq!(integer_text(-1, &DataType::UInt32).unwrap(), "4294967295");
        let decimal = DataType::Decimal128(18, 4);
        assert_eq!(integer_text(-125_000, &decimal).unwrap(), "-12.5000");
        assert_eq!(integer_text(5, &decimal).unwrap(), "0.0005");
        assert_eq!(bytes_text(&[0xff, 0xfe], &DataType::Decimal128(20, 0)).unwrap(), "-2");
        assert_eq!(bytes_text(&[0, 0xff, b'a'], &DataType::Binary).unwrap(), "00FF61");
        assert_eq!(clock_text(36_672_500_000_000).unwrap(), "10:11:12.5");
    }

    #[test]
    fn bounds_are_compared_by_value() {
        assert_eq!(Order::Integer.compare("9", "10"), Ordering::Less);
        assert_eq!(Order::Decimal.compare("-1.50", "-1.05"), Ordering::Less);
        assert_eq!(Order::Float.compare("1e300", "2.5"), Ordering::Greater);
        assert_eq!(Order::Text.compare("2020-01-01 00:00:00", "2020-01-01 00:00:00.5"), Ordering::Less);
    }
}
