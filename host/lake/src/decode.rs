//! Decodes blocks from the Parquet files of a table.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
    RowSelection, RowSelector,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::PageIndexPolicy;

/// Up to here a file is read in one go rather than page by page.
const WHOLE_BYTES_MAX: u64 = 4 << 20;

/// An open part. It stays readable when another process removes its name.
#[derive(Debug)]
pub(crate) struct PartReader {
    input: Input,
    /// Read on first use, with the places of pages, so that rows can be skipped without decoding them.
    metadata: Option<ArrowReaderMetadata>,
}

#[derive(Debug)]
enum Input {
    Whole(Bytes),
    File(File),
}

/// Rows of one block: [from, to).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    pub(crate) from: usize,
    pub(crate) to: usize,
}

impl PartReader {
    pub(crate) fn open(path: &Path, bytes: u64) -> std::io::Result<Self> {
        let input = if bytes <= WHOLE_BYTES_MAX {
            Input::Whole(std::fs::read(path)?.into())
        } else {
            Input::File(File::open(path)?)
        };
        Ok(Self { input, metadata: None })
    }

    /// Rows `rows` of row group `group`, columns `columns` (positions in the table) in this order, as `schema`.
    pub(crate) fn decode(
        &mut self,
        group: usize,
        rows: Rows,
        columns: &[usize],
        schema: &SchemaRef,
    ) -> Result<RecordBatch, String> {
        // A damaged file must not stop the host, and the decoder asserts what it cannot check.
        guarded(|| self.decode_unguarded(group, rows, columns, schema))
    }

    fn decode_unguarded(
        &mut self,
        group: usize,
        rows: Rows,
        columns: &[usize],
        schema: &SchemaRef,
    ) -> Result<RecordBatch, String> {
        let mut decoder = self.decoder(group, rows, columns).map_err(|e| e.to_string())?;
        let first = decoder.next().transpose().map_err(|e| e.to_string())?;
        let Some(first) = first else { return Ok(RecordBatch::new_empty(schema.clone())) };
        let rest: Vec<RecordBatch> = decoder.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
        let batch = if rest.is_empty() {
            first
        } else {
            let batches: Vec<_> = std::iter::once(first).chain(rest).collect();
            concat_batches(&batches[0].schema(), &batches).map_err(|e| e.to_string())?
        };
        if batch.num_rows() != rows.to - rows.from {
            return Err(format!(
                "holds {} rows where {} were written",
                batch.num_rows(),
                rows.to - rows.from
            ));
        }
        // The decoder gives columns in the file's order.
        let mut in_file: Vec<usize> = columns.to_vec();
        in_file.sort_unstable();
        let arrays = columns.iter().map(|it| {
            let position = in_file.binary_search(it).map_err(|_place| "lacks a column".to_owned())?;
            batch.columns().get(position).cloned().ok_or_else(|| "lacks a column".to_owned())
        });
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(schema.clone(), arrays.collect::<Result<_, _>>()?, &options)
            .map_err(|e| e.to_string())
    }

    fn decoder(
        &mut self,
        group: usize,
        rows: Rows,
        columns: &[usize],
    ) -> Result<ParquetRecordBatchReader, ParquetError> {
        match &self.input {
            Input::Whole(bytes) => decoder_of(bytes.clone(), &mut self.metadata, group, rows, columns),
            Input::File(file) => decoder_of(file.try_clone()?, &mut self.metadata, group, rows, columns),
        }
    }
}

fn decoder_of<T: parquet::file::reader::ChunkReader + 'static>(
    input: T,
    metadata: &mut Option<ArrowReaderMetadata>,
    group: usize,
    rows: Rows,
    columns: &[usize],
) -> Result<ParquetRecordBatchReader, ParquetError> {
    let metadata = match metadata {
        Some(metadata) => metadata.clone(),
        None => {
            let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Optional);
            metadata.insert(ArrowReaderMetadata::load(&input, options)?).clone()
        }
    };
    if group >= metadata.metadata().num_row_groups() {
        return Err(ParquetError::General(format!("there is no row group {group}")));
    }
    let group_rows = usize::try_from(metadata.metadata().row_group(group).num_rows()).unwrap_or(usize::MAX);
    let mask = ProjectionMask::roots(metadata.parquet_schema(), columns.iter().copied());
    let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(input, metadata)
        .with_row_groups(vec![group])
        .with_projection(mask)
        .with_batch_size((rows.to - rows.from).max(1));
    if rows.from > 0 || rows.to < group_rows {
        let selectors = vec![RowSelector::skip(rows.from), RowSelector::select(rows.to - rows.from)];
        builder = builder.with_row_selection(RowSelection::from(selectors));
    }
    builder.build()
}

/// Turns a panic in a decoder into an error.
pub(crate) fn guarded<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().cloned();
        let message = message.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
        Err(format!("cannot be decoded: {}", message.unwrap_or_default()))
    })
}
