//! The shape of a table: which schemas a table may have, and whether a batch has it.

#![expect(clippy::wildcard_enum_match_arm, reason = "Arrow's types: a list of those that are stored")]

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use tidemill_plan::TableName;

use crate::index::{Index, is_identifier_type};
use crate::time::TimeKind;
use crate::{LakeError, WriterOptions};

/// Checks names and types of a table to be written; returns its index.
pub(crate) fn check_options(table: &TableName, options: &WriterOptions) -> Result<Option<Index>, LakeError> {
    let schema = &options.schema;
    let unsupported = |column: &str, data_type: &DataType, role| LakeError::TypeUnsupported {
        table: table.clone(),
        column: column.to_owned(),
        data_type: data_type.to_string(),
        role,
    };
    for (position, field) in schema.fields().iter().enumerate() {
        if schema.fields()[..position].iter().any(|it| it.name() == field.name()) {
            return Err(LakeError::ColumnTwice { table: table.clone(), column: field.name().clone() });
        }
        if !is_storable(field.data_type()) {
            return Err(unsupported(field.name(), field.data_type(), "stored"));
        }
    }
    for column in options.time_index.iter().chain(&options.identifiers) {
        if schema.index_of(column).is_err() {
            return Err(unknown_column(table, schema, column));
        }
    }
    if let Some(column) = &options.time_index {
        let data_type = schema.field_with_name(column).expect("looked up above").data_type();
        if TimeKind::of(data_type).is_none() {
            return Err(unsupported(column, data_type, "the time index"));
        }
    }
    for column in &options.identifiers {
        let data_type = schema.field_with_name(column).expect("looked up above").data_type();
        if !is_identifier_type(data_type) {
            return Err(unsupported(column, data_type, "an identifier"));
        }
    }
    Ok(Index::of(schema, options.time_index.as_deref(), &options.identifiers))
}

pub(crate) fn unknown_column(table: &TableName, schema: &Schema, column: &str) -> LakeError {
    let known = schema.fields().iter().map(|it| it.name().as_str());
    LakeError::UnknownColumn {
        table: table.clone(),
        column: column.to_owned(),
        nearest: crate::error::nearest(column, known),
    }
}

/// What Parquet keeps exactly and the digest understands.
fn is_storable(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            is_storable(field.data_type())
        }
        DataType::Struct(fields) => !fields.is_empty() && fields.iter().all(|it| is_storable(it.data_type())),
        DataType::Map(entries, _) => is_storable(entries.data_type()),
        DataType::Dictionary(_, values) => {
            is_identifier_type(values) && !matches!(**values, DataType::Dictionary(_, _))
        }
        other => {
            other.is_integer()
                || other.is_floating()
                || TimeKind::of(other).is_some()
                || matches!(
                    other,
                    DataType::Boolean
                        | DataType::Time32(_)
                        | DataType::Time64(_)
                        | DataType::Duration(_)
                        | DataType::Decimal128(_, _)
                        | DataType::Decimal256(_, _)
                        | DataType::Binary
                        | DataType::LargeBinary
                        | DataType::FixedSizeBinary(_)
                        | DataType::Utf8
                        | DataType::LargeUtf8
                        | DataType::Utf8View
                        | DataType::BinaryView
                )
        }
    }
}

/// The batch under the table's schema; names and types must be equal, metadata is the table's. `rows` were before it.
pub(crate) fn conform(
    table: &TableName,
    schema: &SchemaRef,
    batch: &RecordBatch,
    rows: u64,
) -> Result<RecordBatch, LakeError> {
    if std::sync::Arc::ptr_eq(schema, batch.schema_ref()) {
        return Ok(batch.clone());
    }
    let differ =
        |expected: String, found: String| LakeError::SchemaDiffers { table: table.clone(), expected, found };
    let (wanted, given) = (schema.fields(), batch.schema_ref().fields());
    if wanted.len() != given.len() {
        let names = |schema: &Schema| {
            let names: Vec<_> = schema.fields().iter().map(|it| format!("`{}`", it.name())).collect();
            format!("{} columns ({})", names.len(), names.join(", "))
        };
        return Err(differ(names(schema), names(batch.schema_ref())));
    }
    for ((wanted, given), array) in wanted.iter().zip(given).zip(batch.columns()) {
        if wanted.name() != given.name() || !wanted.data_type().equals_datatype(given.data_type()) {
            let text =
                |it: &arrow::datatypes::Field| format!("column `{}` of type {}", it.name(), it.data_type());
            return Err(differ(text(wanted), text(given)));
        }
        if !wanted.is_nullable()
            && let Some(nulls) = array.logical_nulls().filter(|it| it.null_count() > 0)
        {
            let row = nulls.iter().position(|is_valid| !is_valid).unwrap_or(0) as u64;
            let column = wanted.name().clone();
            return Err(LakeError::NullValue { table: table.clone(), row: rows + row + 1, column });
        }
    }
    let mut columns = batch.columns().to_vec();
    for (column, wanted) in columns.iter_mut().zip(wanted) {
        // Equal but for names and metadata inside nested types.
        if column.data_type() != wanted.data_type() {
            let data = column.to_data().into_builder().data_type(wanted.data_type().clone()).build();
            *column = arrow::array::make_array(data.map_err(|e| LakeError::arrow(table, "take rows", &e))?);
        }
    }
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|e| LakeError::arrow(table, "take rows", &e))
}
