//! Columns of a table as PostgreSQL has them: the type there, the Arrow type that is sent, and the cast between. What
//! PostgreSQL cannot hold exactly is refused, with the column's name.

#![expect(clippy::wildcard_enum_match_arm, reason = "Arrow's types: a list of those that PostgreSQL has")]

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, DurationNanosecondType, Field, Int64Type, Schema, SchemaRef, Time64NanosecondType, TimeUnit,
    TimestampNanosecondType,
};
use tidemill_plan::{Code, Problem, data_type_name};

/// PostgreSQL cuts off what is longer.
const NAME_BYTES_MAX: usize = 63;
const NANOSECONDS_OF_ONE: i64 = 1_000;

/// A column of the mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MirrorColumn {
    pub(super) name: String,
    pub(super) sql_type: String,
    /// What the rows are cast to before they are sent.
    pub(super) sent_as: DataType,
}

/// # Errors
/// `mirror-column`.
pub(super) fn columns_of(schema: &Schema) -> Result<Vec<MirrorColumn>, Problem> {
    let column = |it: &Arc<Field>| {
        let name = it.name().clone();
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
            let what = format!("column `{}` has a name that PostgreSQL cannot keep", name.escape_debug());
            let mend = format!("give it a name of 1 to {NAME_BYTES_MAX} bytes");
            return Err(Problem::new(Code("mirror-column"), what, mend));
        }
        let Some((sql_type, sent_as)) = type_of(it.data_type()) else {
            let of_type = data_type_name(it.data_type());
            let what = format!("column `{name}` is of type `{of_type}`, which PostgreSQL does not have");
            let mend = "write what is in it as columns of their own, or as text";
            return Err(Problem::new(Code("mirror-column"), what, mend));
        };
        Ok(MirrorColumn { name, sql_type, sent_as })
    };
    schema.fields().iter().map(column).collect()
}

/// The type there, and what is sent; `None`: there is none.
fn type_of(data_type: &DataType) -> Option<(String, DataType)> {
    let same = |sql: &str| Some((sql.to_owned(), data_type.clone()));
    let cast = |sql: &str, sent_as: DataType| Some((sql.to_owned(), sent_as));
    match data_type {
        DataType::Boolean => same("boolean"),
        DataType::Int8 | DataType::UInt8 => cast("smallint", DataType::Int16),
        DataType::Int16 => same("smallint"),
        DataType::UInt16 => cast("integer", DataType::Int32),
        DataType::Int32 => same("integer"),
        DataType::UInt32 => cast("bigint", DataType::Int64),
        DataType::Int64 => same("bigint"),
        // Twenty digits are what its largest value has.
        DataType::UInt64 => cast("numeric", DataType::Decimal128(20, 0)),
        DataType::Float16 => cast("real", DataType::Float32),
        DataType::Float32 => same("real"),
        DataType::Float64 => same("double precision"),
        DataType::Decimal128(_, _) => same("numeric"),
        DataType::Decimal256(precision, scale) if *precision <= 38 => {
            cast("numeric", DataType::Decimal128(*precision, *scale))
        }
        DataType::Timestamp(_, None) | DataType::Date64 => {
            cast("timestamp", DataType::Timestamp(TimeUnit::Microsecond, None))
        }
        DataType::Timestamp(_, zone) => {
            cast("timestamptz", DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))
        }
        DataType::Date32 => same("date"),
        DataType::Time32(_) | DataType::Time64(_) => cast("time", DataType::Time64(TimeUnit::Microsecond)),
        DataType::Duration(_) => cast("interval", DataType::Duration(TimeUnit::Microsecond)),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => same("text"),
        DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_) => same("bytea"),
        DataType::BinaryView => cast("bytea", DataType::Binary),
        DataType::Dictionary(_, values) => type_of(values),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => list_of(item),
        _ => None,
    }
}

/// Lists of one level. Of times with a zone the encoder knows no list.
fn list_of(item: &Field) -> Option<(String, DataType)> {
    let (sql, sent_as) = type_of(item.data_type())?;
    if matches!(sent_as, DataType::LargeList(_) | DataType::Timestamp(_, Some(_))) {
        return None;
    }
    let item = Field::new(item.name(), sent_as, true);
    Some((format!("{sql}[]"), DataType::LargeList(Arc::new(item))))
}

/// The schema of what is sent.
pub(super) fn schema_of(columns: &[MirrorColumn]) -> SchemaRef {
    let fields = columns.iter().map(|it| Field::new(&it.name, it.sent_as.clone(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A batch of the table as it is sent.
///
/// # Errors
/// `mirror-column` where a value has no equal in PostgreSQL.
pub(super) fn fitted(
    batch: &RecordBatch,
    columns: &[MirrorColumn],
    schema: &SchemaRef,
) -> Result<RecordBatch, Problem> {
    let cast = |(array, column): (&ArrayRef, &MirrorColumn)| {
        if has_nanoseconds(array) {
            let what = format!(
                "column `{}` has times between microseconds, which PostgreSQL does not have",
                column.name
            );
            let mend = "round them in the task, or give the column the type `timestamp[us, UTC]`";
            return Err(Problem::new(Code("mirror-column"), what, mend));
        }
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(array, &column.sent_as, &strict).map_err(|e| unfit(&column.name, &e))
    };
    let arrays = batch.columns().iter().zip(columns).map(cast).collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema.clone(), arrays).map_err(|e| unfit("", &e))
}

fn unfit(column: &str, error: &arrow::error::ArrowError) -> Problem {
    let what = format!("column `{column}` has a value that PostgreSQL cannot hold: {error}");
    Problem::new(Code("mirror-column"), what, "keep its values within what the type in PostgreSQL holds")
}

/// Whether anything in it is no whole number of microseconds.
fn has_nanoseconds(array: &ArrayRef) -> bool {
    let values = match array.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            array.as_primitive::<TimestampNanosecondType>().reinterpret_cast::<Int64Type>()
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            array.as_primitive::<Time64NanosecondType>().reinterpret_cast::<Int64Type>()
        }
        DataType::Duration(TimeUnit::Nanosecond) => {
            array.as_primitive::<DurationNanosecondType>().reinterpret_cast::<Int64Type>()
        }
        DataType::List(_) => return has_nanoseconds(array.as_list::<i32>().values()),
        DataType::LargeList(_) => return has_nanoseconds(array.as_list::<i64>().values()),
        DataType::FixedSizeList(_, _) => return has_nanoseconds(array.as_fixed_size_list().values()),
        _ => return false,
    };
    values.iter().flatten().any(|it| it % NANOSECONDS_OF_ONE != 0)
}
