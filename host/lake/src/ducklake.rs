//! Columns as DuckLake knows them: their ids, their types in its words, and how they stand in a file that DuckDB reads.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use tidemill_plan::TableName;

use crate::manifest::CatalogState;
use crate::{LakeError, Manifest};

/// Digits of a decimal that DuckDB has room for.
const DECIMAL_DIGITS_MAX: u8 = 38;

/// A column, or a part of a nested one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogColumn {
    pub id: i64,
    pub parent: Option<i64>,
    pub name: String,
    pub data_type: String,
    pub is_nullable: bool,
}

impl Manifest {
    /// All columns as a catalogue lists them, each before those inside it; none of a table without ids.
    #[must_use]
    pub fn catalog_columns(&self) -> Vec<CatalogColumn> {
        let Some(state) = &self.catalog else { return Vec::new() };
        let mut ids = state.column_ids.iter().copied();
        let mut columns = Vec::with_capacity(state.column_ids.len());
        for field in self.schema.fields() {
            list_columns(field, field.name(), None, &mut ids, &mut columns);
        }
        columns
    }
}

fn list_columns(
    field: &Field,
    name: &str,
    parent: Option<i64>,
    ids: &mut impl Iterator<Item = i64>,
    columns: &mut Vec<CatalogColumn>,
) {
    let id = ids.next().expect("a manifest has an id for each of its columns");
    let data_type = type_text(field.data_type()).expect("a table's types were checked when it was begun");
    let is_nullable = field.is_nullable();
    columns.push(CatalogColumn { id, parent, name: name.to_owned(), data_type, is_nullable });
    for (name, child) in children(field.data_type()) {
        list_columns(&child, &name, Some(id), ids, columns);
    }
}

/// What is inside a type, by the names that DuckLake gives.
fn children(data_type: &DataType) -> Vec<(String, FieldRef)> {
    if let DataType::List(it) | DataType::LargeList(it) | DataType::FixedSizeList(it, _) = data_type {
        return vec![("element".to_owned(), it.clone())];
    }
    if let DataType::Struct(fields) = data_type {
        return fields.iter().map(|it| (it.name().clone(), it.clone())).collect();
    }
    if let DataType::Map(entries, _) = data_type
        && let DataType::Struct(fields) = entries.data_type()
        && let [key, value] = &fields[..]
    {
        return vec![("key".to_owned(), key.clone()), ("value".to_owned(), value.clone())];
    }
    Vec::new()
}

/// `None`: DuckLake has no such type.
#[expect(clippy::wildcard_enum_match_arm, reason = "Arrow's types: a list of those that DuckLake has")]
fn type_text(data_type: &DataType) -> Option<String> {
    let text = match data_type {
        DataType::Boolean => "boolean",
        DataType::Int8 => "int8",
        DataType::Int16 => "int16",
        DataType::Int32 => "int32",
        // DuckDB has no durations in Parquet: they are counts of their unit.
        DataType::Int64 | DataType::Duration(_) => "int64",
        DataType::UInt8 => "uint8",
        DataType::UInt16 => "uint16",
        DataType::UInt32 => "uint32",
        DataType::UInt64 => "uint64",
        DataType::Float16 | DataType::Float32 => "float32",
        DataType::Float64 => "float64",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "varchar",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "blob"
        }
        DataType::Date32 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Timestamp(_, Some(_)) => "timestamptz",
        DataType::Date64 | DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, None) => {
            "timestamp_ms"
        }
        DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp",
        DataType::Timestamp(TimeUnit::Nanosecond, None) => "timestamp_ns",
        DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale)
            if *digits <= DECIMAL_DIGITS_MAX && *scale >= 0 =>
        {
            return Some(format!("decimal({digits},{scale})"));
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _) => "list",
        DataType::Struct(_) => "struct",
        DataType::Map(_, _) => "map",
        DataType::Dictionary(_, values) => return type_text(values),
        _ => return None,
    };
    Some(text.to_owned())
}

/// The type that rows of a plain column come as, from DuckLake's word for it; `None` where there is none.
#[must_use]
pub fn type_from_text(text: &str) -> Option<DataType> {
    let it = match text {
        "boolean" => DataType::Boolean,
        "int8" => DataType::Int8,
        "int16" => DataType::Int16,
        "int32" => DataType::Int32,
        "int64" => DataType::Int64,
        "uint8" => DataType::UInt8,
        "uint16" => DataType::UInt16,
        "uint32" => DataType::UInt32,
        "uint64" => DataType::UInt64,
        "float32" => DataType::Float32,
        "float64" => DataType::Float64,
        "varchar" | "json" => DataType::Utf8,
        "blob" => DataType::Binary,
        "uuid" => DataType::FixedSizeBinary(16),
        "date" => DataType::Date32,
        "time" => DataType::Time64(TimeUnit::Microsecond),
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamp_s" => DataType::Timestamp(TimeUnit::Second, None),
        "timestamp_ms" => DataType::Timestamp(TimeUnit::Millisecond, None),
        "timestamp_ns" => DataType::Timestamp(TimeUnit::Nanosecond, None),
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        _ => {
            let inside = text.strip_prefix("decimal(")?.strip_suffix(')')?;
            let (digits, scale) = inside.split_once(',')?;
            let (digits, scale) = (digits.trim().parse().ok()?, scale.trim().parse().ok()?);
            return (digits <= DECIMAL_DIGITS_MAX).then_some(DataType::Decimal128(digits, scale));
        }
    };
    Some(it)
}

/// Refuses what DuckLake has no type for.
pub(crate) fn check_types(table: &TableName, schema: &Schema) -> Result<(), LakeError> {
    fn unknown(field: &Field) -> Option<DataType> {
        // PostgreSQL keeps no text with this character.
        if type_text(field.data_type()).is_none() || field.name().contains('\0') {
            return Some(field.data_type().clone());
        }
        children(field.data_type()).iter().find_map(|(_, it)| unknown(it))
    }
    for field in schema.fields() {
        if let Some(data_type) = unknown(field) {
            return Err(LakeError::TypeUnsupported {
                table: table.clone(),
                column: field.name().clone(),
                data_type: data_type.to_string(),
                role: "kept in a DuckLake table",
            });
        }
    }
    Ok(())
}

/// Ids for the columns of `schema`: a column that `base` has under the same name and with the same type keeps its own,
/// another gets one that was never used.
pub(crate) fn assign_ids(schema: &Schema, base: Option<&Manifest>) -> CatalogState {
    let mut known: HashMap<&str, (&Field, &[i64])> = HashMap::new();
    let (mut next, mut version) = (1, None);
    if let Some((base, state)) = base.and_then(|it| Some((it, it.catalog.as_ref()?))) {
        next = state.column_id_next;
        version = state.version;
        let mut rest = &state.column_ids[..];
        for field in base.schema.fields() {
            let (ids, after) = rest.split_at(count(field.data_type()).min(rest.len()));
            known.insert(field.name(), (field, ids));
            rest = after;
        }
    }
    let mut column_ids = Vec::new();
    for field in schema.fields() {
        match known.get(field.name().as_str()) {
            Some((before, ids)) if is_same_column(before.data_type(), field.data_type()) => {
                column_ids.extend_from_slice(ids);
            }
            _ => {
                let wanted = i64::try_from(count(field.data_type())).unwrap_or(i64::MAX);
                column_ids.extend(next..next + wanted);
                next += wanted;
            }
        }
    }
    CatalogState { column_ids, column_id_next: next, version: None, base: version }
}

/// How many ids a column of this type needs.
fn count(data_type: &DataType) -> usize {
    1 + children(data_type).iter().map(|(_, it)| count(it.data_type())).sum::<usize>()
}

/// True where DuckLake sees no difference.
fn is_same_column(a: &DataType, b: &DataType) -> bool {
    let (inside_a, inside_b) = (children(a), children(b));
    type_text(a) == type_text(b)
        && inside_a.len() == inside_b.len()
        && inside_a
            .iter()
            .zip(&inside_b)
            .all(|(a, b)| a.0 == b.0 && is_same_column(a.1.data_type(), b.1.data_type()))
}

/// The ids of the columns that are in no other, in order.
pub(crate) fn root_ids(manifest: &Manifest) -> Option<Vec<i64>> {
    let state = manifest.catalog.as_ref()?;
    let mut at = 0;
    let ids = manifest.schema.fields().iter().map(|field| {
        let id = state.column_ids.get(at).copied().unwrap_or(0);
        at += count(field.data_type());
        id
    });
    Some(ids.collect())
}

/// The schema of a file: types that Parquet and DuckDB understand alike, and the ids by which DuckDB finds columns.
pub(crate) fn file_schema(schema: &Schema, column_ids: &[i64]) -> SchemaRef {
    let mut ids = column_ids.iter().copied();
    let fields: Vec<Field> = schema.fields().iter().map(|it| with_ids(it, &mut ids)).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "Arrow's types: all others hold no columns")]
fn with_ids(field: &Field, ids: &mut impl Iterator<Item = i64>) -> Field {
    let id = ids.next().expect("there is an id for each column");
    let data_type = match field.data_type() {
        DataType::List(it) => DataType::List(Arc::new(with_ids(it, ids))),
        DataType::LargeList(it) => DataType::LargeList(Arc::new(with_ids(it, ids))),
        DataType::FixedSizeList(it, size) => DataType::FixedSizeList(Arc::new(with_ids(it, ids)), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|it| with_ids(it, ids)).collect()),
        DataType::Map(entries, is_sorted) => {
            // DuckDB finds these two by their names.
            let inside = children(field.data_type());
            let inside: Vec<Field> =
                inside.iter().map(|(name, it)| with_ids(it, ids).with_name(name)).collect();
            let entries = entries.as_ref().clone().with_data_type(DataType::Struct(inside.into()));
            DataType::Map(Arc::new(entries), *is_sorted)
        }
        other => plain_file_type(other),
    };
    let mut metadata = field.metadata().clone();
    metadata.insert(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string());
    field.clone().with_data_type(data_type).with_metadata(metadata)
}

/// Parquet has no seconds, DuckDB no durations and no dates in milliseconds; all of these fit what stands in for them.
#[expect(clippy::wildcard_enum_match_arm, reason = "Arrow's types: all others stand in a file as they are")]
fn plain_file_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Timestamp(TimeUnit::Second, zone) => {
            DataType::Timestamp(TimeUnit::Millisecond, zone.clone())
        }
        DataType::Date64 => DataType::Timestamp(TimeUnit::Millisecond, None),
        DataType::Time32(TimeUnit::Second) => DataType::Time32(TimeUnit::Millisecond),
        DataType::Duration(_) => DataType::Int64,
        other => other.clone(),
    }
}
