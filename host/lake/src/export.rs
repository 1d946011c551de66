//! Writes a table for other programs: CSV, JSON lines, Parquet, Arrow IPC.

#![expect(clippy::wildcard_enum_match_arm, reason = "kinds of other crates: the rest is treated alike")]

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, make_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use tidemill_plan::Code;

use crate::LakeError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// With a header; times as RFC 3339.
    Csv,
    /// One object a line; nulls are left out.
    JsonLines,
    /// One list of objects; nulls are left out.
    JsonList,
    Parquet,
    /// The file format of Arrow IPC.
    Arrow,
    /// The stream format of Arrow IPC.
    ArrowStream,
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
    let mut exporter = Exporter::new(schema, format, out)?;
    let mut rows = 0;
    for batch in batches {
        let batch = batch.map_err(ExportError::Read)?;
        rows += batch.num_rows() as u64;
        exporter.write(&batch)?;
    }
    exporter.finish()?;
    Ok(rows)
}

/// Writes a table batch by batch, for whoever does not have all of them at once.
pub struct Exporter<W: Write + Send>(Writer<W>);

enum Writer<W: Write + Send> {
    Csv {
        writer: Box<arrow::csv::Writer<W>>,
        /// The header is written with the first batch, so a table without rows still needs one.
        first: Option<SchemaRef>,
    },
    JsonLines(arrow::json::LineDelimitedWriter<W>),
    JsonList(arrow::json::ArrayWriter<W>),
    Parquet(Box<ArrowWriter<W>>),
    Arrow(Box<FileWriter<W>>),
    ArrowStream(Box<StreamWriter<W>>),
}

impl<W: Write + Send> std::fmt::Debug for Exporter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}

impl<W: Write + Send> Exporter<W> {
    /// `schema` is that of the batches.
    pub fn new(schema: &SchemaRef, format: ExportFormat, out: W) -> Result<Self, ExportError> {
        Ok(Self(match format {
            ExportFormat::Csv => Writer::Csv {
                writer: Box::new(arrow::csv::WriterBuilder::new().with_header(true).build(out)),
                first: Some(schema.clone()),
            },
            ExportFormat::JsonLines => Writer::JsonLines(arrow::json::LineDelimitedWriter::new(out)),
            ExportFormat::JsonList => Writer::JsonList(arrow::json::ArrayWriter::new(out)),
            ExportFormat::Parquet => {
                let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties()));
                Writer::Parquet(Box::new(writer.map_err(of_parquet)?))
            }
            ExportFormat::Arrow => {
                Writer::Arrow(Box::new(FileWriter::try_new(out, schema).map_err(ExportError::of)?))
            }
            ExportFormat::ArrowStream => {
                Writer::ArrowStream(Box::new(StreamWriter::try_new(out, schema).map_err(ExportError::of)?))
            }
        }))
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ExportError> {
        match &mut self.0 {
            Writer::Csv { writer, first } => {
                *first = None;
                writer.write(&with_plain_zones(batch)).map_err(ExportError::of)
            }
            Writer::JsonLines(it) => it.write(&with_plain_zones(batch)).map_err(ExportError::of),
            Writer::JsonList(it) => it.write(&with_plain_zones(batch)).map_err(ExportError::of),
            Writer::Parquet(it) => it.write(batch).map_err(of_parquet),
            Writer::Arrow(it) => it.write(batch).map_err(ExportError::of),
            Writer::ArrowStream(it) => it.write(batch).map_err(ExportError::of),
        }
    }

    /// Writes what stands after the last batch.
    pub fn finish(self) -> Result<(), ExportError> {
        match self.0 {
            Writer::Csv { mut writer, first } => {
                if let Some(schema) = first {
                    writer
                        .write(&with_plain_zones(&RecordBatch::new_empty(schema)))
                        .map_err(ExportError::of)?;
                }
                writer.into_inner().flush().map_err(ExportError::Write)
            }
            Writer::JsonLines(mut it) => {
                it.finish().map_err(ExportError::of)?;
                it.into_inner().flush().map_err(ExportError::Write)
            }
            Writer::JsonList(mut it) => {
                it.finish().map_err(ExportError::of)?;
                it.into_inner().flush().map_err(ExportError::Write)
            }
            Writer::Parquet(it) => it.into_inner().map_err(of_parquet)?.flush().map_err(ExportError::Write),
            Writer::Arrow(mut it) => {
                it.finish().map_err(ExportError::of)?;
                it.flush().map_err(ExportError::of)
            }
            Writer::ArrowStream(mut it) => {
                it.finish().map_err(ExportError::of)?;
                it.flush().map_err(ExportError::of)
            }
        }
    }
}

fn properties() -> WriterProperties {
    let level = ZstdLevel::try_new(3).expect("zstd has a level 3");
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(crate::blocks::BLOCK_ROWS_MAX))
        .build()
}

fn of_parquet(error: ParquetError) -> ExportError {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(inner) => ExportError::Write(*inner),
            Err(inner) => ExportError::Format { cause: inner.to_string() },
        },
        cause => ExportError::Format { cause: cause.to_string() },
    }
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
