//! Writes a table for other programs: CSV, JSON lines, Parquet, Arrow IPC.

#![expect(clippy::wildcard_enum_match_arm, reason = "kinds of other crates: the rest is treated alike")]

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, make_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tidemill_plan::Code;

use crate::LakeError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// With a header; times as RFC 3339.
    Csv,
    /// One object a line; nulls are left out.
    JsonLines,
    Parquet,
    /// The file format of Arrow IPC.
    Arrow,
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    #[error(transparent)]
    Read(LakeError),
    #[error("cannot write the export")]
    Write(#[source] io::Error),
    #[error("cannot write the table in this format: {cause}")]
    Format { cause: String },
}

impl ExportError {
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Read(e) => e.code(),
            Self::Write(_) => Code("export-write"),
            Self::Format { .. } => Code("export-format"),
        }
    }

    #[must_use]
    pub fn mend(&self) -> String {
        match self {
            Self::Read(e) => e.mend(),
            Self::Write(_) => "look at where the export goes, then try again".into(),
            Self::Format { .. } => "leave the column out with `--columns`, or use `--format arrow`".into(),
        }
    }

    fn of(cause: ArrowError) -> Self {
        match cause {
            ArrowError::IoError(_, cause) => Self::Write(cause),
            cause => Self::Format { cause: cause.to_string() },
        }
    }
}

/// Writes all batches to `out`; returns the number of rows. `schema` is that of the batches.
pub fn export<W: Write + Send>(
    batches: impl Iterator<Item = Result<RecordBatch, LakeError>>,
    schema: &SchemaRef,
    format: ExportFormat,
    out: W,
) -> Result<u64, ExportError> {
    let mut rows = 0;
    let batches = batches.map(|batch| {
        let batch = batch.map_err(ExportError::Read)?;
        rows += batch.num_rows() as u64;
        Ok(batch)
    });
    match format {
        ExportFormat::Csv => export_csv(batches, schema, out)?,
        ExportFormat::JsonLines => {
            let mut writer = arrow::json::LineDelimitedWriter::new(out);
            for batch in batches {
                writer.write(&with_plain_zones(&batch?)).map_err(ExportError::of)?;
            }
            writer.finish().map_err(ExportError::of)?;
            writer.into_inner().flush().map_err(ExportError::Write)?;
        }
        ExportFormat::Parquet => export_parquet(batches, schema, out)?,
        ExportFormat::Arrow => {
            let mut writer = arrow::ipc::writer::FileWriter::try_new(out, schema).map_err(ExportError::of)?;
            for batch in batches {
                writer.write(&batch?).map_err(ExportError::of)?;
            }
            writer.finish().map_err(ExportError::of)?;
            writer.flush().map_err(ExportError::of)?;
        }
    }
    Ok(rows)
}

fn export_csv<W: Write>(
    mut batches: impl Iterator<Item = Result<RecordBatch, ExportError>>,
    schema: &SchemaRef,
    out: W,
) -> Result<(), ExportError> {
    // The header is written with the first batch, so a table without rows still needs one.
    let first = batches.next().unwrap_or_else(|| Ok(RecordBatch::new_empty(schema.clone())));
    let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(out);
    for batch in std::iter::once(first).chain(batches) {
        writer.write(&with_plain_zones(&batch?)).map_err(ExportError::of)?;
    }
    writer.into_inner().flush().map_err(ExportError::Write)
}

fn export_parquet<W: Write + Send>(
    batches: impl Iterator<Item = Result<RecordBatch, ExportError>>,
    schema: &SchemaRef,
    out: W,
) -> Result<(), ExportError> {
    let failed = |e: parquet::errors::ParquetError| match e {
        parquet::errors::ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(inner) => ExportError::Write(*inner),
            Err(inner) => ExportError::Format { cause: inner.to_string() },
        },
        cause => ExportError::Format { cause: cause.to_string() },
    };
    let level = ZstdLevel::try_new(3).expect("zstd has a level 3");
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(crate::blocks::BLOCK_ROWS_MAX))
        .build();
    let mut writer = ArrowWriter::try_new(out, schema.clone(), Some(properties)).map_err(failed)?;
    for batch in batches {
        writer.write(&batch?).map_err(failed)?;
    }
    let mut out = writer.into_inner().map_err(failed)?;
    out.flush().map_err(ExportError::Write)
}

/// The same rows with every zone as `+00:00`: Arrow's printers know no zone by name without a time zone database,
/// and the values are UTC whatever the zone. Zones inside nested columns stay.
#[must_use]
pub fn with_plain_zones(batch: &RecordBatch) -> RecordBatch {
    let mut columns = batch.columns().to_vec();
    let mut fields: Vec<Field> = batch.schema_ref().fields().iter().map(|it| it.as_ref().clone()).collect();
    for (column, field) in columns.iter_mut().zip(&mut fields) {
        if let DataType::Timestamp(unit, Some(zone)) = column.data_type()
            && zone.as_ref() != "+00:00"
        {
            let plain = DataType::Timestamp(*unit, Some("+00:00".into()));
            if let Ok(data) = column.to_data().into_builder().data_type(plain.clone()).build() {
                *column = make_array(data);
                field.set_data_type(plain);
            }
        }
    }
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .unwrap_or_else(|_| batch.clone())
}
