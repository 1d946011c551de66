//! Decodes blocks from the Parquet files of a table.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, concat, concat_batches};
use arrow::datatypes::{Field, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
    RowSelection, RowSelector,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::PageIndexPolicy;
use tidemill_plan::TableName;

use crate::LakeError;
use crate::bucket::Object;
use crate::files::Files;

/// Up to here a file is read in one go rather than page by page.
pub(crate) const WHOLE_BYTES_MAX: u64 = 4 << 20;

/// An open part. It stays readable when another process removes its name.
#[derive(Debug)]
pub(crate) struct PartReader {
    input: Input,
    /// Read on first use, with the places of pages, so that rows can be skipped without decoding them.
    metadata: Option<ArrowReaderMetadata>,
    /// Ids of the table's columns, by which they are found in the file; `None`: the file has them in the same order.
    ids: Option<Arc<Vec<i64>>>,
}

/// What a part is read from.
#[derive(Debug)]
pub(crate) enum Input {
    Whole(Bytes),
    File(File),
    Object(Object),
}

/// Why a block cannot be had.
#[derive(Debug)]
pub(crate) enum Undecoded {
    /// The file does not hold what was written.
    Damaged(String),
    /// It may hold it, and could not be read.
    Unread(io::Error),
}

impl Undecoded {
    pub(crate) fn of(self, table: &TableName, part: &str, path: &Path) -> LakeError {
        match self {
            Self::Damaged(cause) => LakeError::Damaged { table: table.clone(), part: part.to_owned(), cause },
            Self::Unread(cause) => unread(table, part, path, cause),
        }
    }
}

/// Why a part cannot be read: what is gone does not come back, all else may.
pub(crate) fn unread(table: &TableName, part: &str, path: &Path, cause: io::Error) -> LakeError {
    if cause.kind() == io::ErrorKind::NotFound {
        let (table, part) = (table.clone(), part.to_owned());
        return LakeError::Damaged { table, part, cause: "is missing".to_owned() };
    }
    if cause.kind() == io::ErrorKind::InvalidInput {
        return LakeError::Foreign { table: table.clone(), cause: format!("`{}`: {cause}", path.display()) };
    }
    LakeError::io("read", path, cause)
}

impl From<String> for Undecoded {
    fn from(cause: String) -> Self {
        Self::Damaged(cause)
    }
}

/// Rows of one block: [from, to).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    pub(crate) from: usize,
    pub(crate) to: usize,
}

impl PartReader {
    pub(crate) fn open(
        files: &dyn Files,
        path: &Path,
        bytes: u64,
        ids: Option<Arc<Vec<i64>>>,
    ) -> io::Result<Self> {
        Ok(Self { input: files.open(path, bytes)?, metadata: None, ids })
    }

    /// Rows `rows` of row group `group`, columns `columns` (positions in the table) in this order, as `schema`.
    pub(crate) fn decode(
        &mut self,
        group: usize,
        rows: Rows,
        columns: &[usize],
        schema: &SchemaRef,
    ) -> Result<RecordBatch, Undecoded> {
        // A damaged file must not stop the host, and the decoder asserts what it cannot check.
        let decoded = guarded(|| self.decode_unguarded(group, rows, columns, schema));
        decoded.map_err(|e| self.cause(e))
    }

    /// A decoder tells what it could not read as if it could not be decoded.
    fn cause(&self, told: String) -> Undecoded {
        let unread = match &self.input {
            Input::Whole(_) | Input::File(_) => None,
            Input::Object(object) => object.failure(),
        };
        unread.map_or(Undecoded::Damaged(told), Undecoded::Unread)
    }

    fn decode_unguarded(
        &mut self,
        group: usize,
        rows: Rows,
        columns: &[usize],
        schema: &SchemaRef,
    ) -> Result<RecordBatch, String> {
        let places = self.places(columns, schema).map_err(|e| e.to_string())?;
        let mut in_file: Vec<usize> = places.iter().copied().flatten().collect();
        in_file.sort_unstable();
        let mut decoder = self.decoder(group, rows, &in_file).map_err(|e| e.to_string())?;
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
        let arrays = places.iter().zip(schema.fields()).map(|(place, field)| {
            // Written before the table had it.
            let Some(place) = place else { return Ok(new_null_array(field.data_type(), batch.num_rows())) };
            let position = in_file.binary_search(place).map_err(|_place| "lacks a column".to_owned())?;
            let array = batch.columns().get(position).cloned().ok_or("lacks a column")?;
            if array.data_type() == field.data_type() || self.ids.is_none() {
                return Ok(array);
            }
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(&array, field.data_type(), &strict).map_err(|e| e.to_string())
        });
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let arrays = arrays.collect::<Result<_, String>>()?;
        RecordBatch::try_new_with_options(schema.clone(), arrays, &options).map_err(|e| e.to_string())
    }

    /// All of a column of a row group, by its place in the file.
    pub(crate) fn column(&mut self, group: usize, place: usize) -> Result<ArrayRef, Undecoded> {
        let read = guarded(|| {
            let rows = self.metadata().map_err(|e| e.to_string())?.metadata().row_group(group).num_rows();
            let rows = Rows { from: 0, to: usize::try_from(rows).unwrap_or(0) };
            let decoder = self.decoder(group, rows, &[place]).map_err(|e| e.to_string())?;
            let batches: Vec<RecordBatch> = decoder.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
            let arrays: Vec<_> = batches.iter().map(|it| it.column(0).as_ref()).collect();
            concat(&arrays).map_err(|e| e.to_string())
        });
        read.map_err(|e| self.cause(e))
    }

    /// Where each of the columns stands in the file.
    fn places(&mut self, columns: &[usize], schema: &SchemaRef) -> Result<Vec<Option<usize>>, ParquetError> {
        let Some(ids) = self.ids.clone() else { return Ok(columns.iter().map(|it| Some(*it)).collect()) };
        let metadata = self.metadata()?;
        let fields = metadata.parquet_schema().root_schema().get_fields();
        let place = |(column, field): (&usize, &Arc<Field>)| {
            let id = ids.get(*column).copied();
            let by_id = fields.iter().position(|it| {
                let about = it.get_basic_info();
                about.has_id() && Some(i64::from(about.id())) == id
            });
            // Files that were made elsewhere and added as they are have no ids, and are read by name.
            let has_ids = fields.iter().any(|it| it.get_basic_info().has_id());
            by_id.or_else(|| fields.iter().position(|it| !has_ids && it.name() == field.name()))
        };
        Ok(columns.iter().zip(schema.fields()).map(place).collect())
    }

    /// Lets go of what is in memory of it, once it has been read.
    pub(crate) fn forget(&mut self) {
        match &mut self.input {
            Input::Whole(bytes) => *bytes = Bytes::new(),
            Input::File(_) => {}
            Input::Object(object) => object.forget(),
        }
    }

    /// What the file says of itself.
    pub(crate) fn about(&mut self) -> Result<ArrowReaderMetadata, Undecoded> {
        self.metadata().map_err(|e| self.cause(e.to_string()))
    }

    fn metadata(&mut self) -> Result<ArrowReaderMetadata, ParquetError> {
        match &self.input {
            Input::Whole(bytes) => metadata_of(bytes, &mut self.metadata),
            Input::File(file) => metadata_of(file, &mut self.metadata),
            Input::Object(object) => {
                if self.metadata.is_none() {
                    object.fetch_tail()?;
                }
                metadata_of(object, &mut self.metadata)
            }
        }
    }

    fn decoder(
        &mut self,
        group: usize,
        rows: Rows,
        columns: &[usize],
    ) -> Result<ParquetRecordBatchReader, ParquetError> {
        self.fetch(group, columns)?;
        match &self.input {
            Input::Whole(bytes) => decoder_of(bytes.clone(), &mut self.metadata, group, rows, columns),
            Input::File(file) => decoder_of(file.try_clone()?, &mut self.metadata, group, rows, columns),
            Input::Object(object) => decoder_of(object.clone(), &mut self.metadata, group, rows, columns),
        }
    }

    /// From a bucket, columns come in few requests rather than page by page.
    fn fetch(&mut self, group: usize, columns: &[usize]) -> Result<(), ParquetError> {
        let Input::Object(object) = &self.input else { return Ok(()) };
        let object = object.clone();
        let metadata = self.metadata()?;
        let Some(about) = metadata.metadata().row_groups().get(group) else { return Ok(()) };
        let of_leaf = |leaf: usize| metadata.parquet_schema().get_column_root_idx(leaf);
        let leaves = (0..about.num_columns()).filter(|it| columns.contains(&of_leaf(*it)));
        let ranges: Vec<Range<u64>> = leaves
            .map(|it| {
                let (start, length) = about.column(it).byte_range();
                start..start + length
            })
            .collect();
        object.fetch(&ranges)?;
        Ok(())
    }
}

fn metadata_of<T: parquet::file::reader::ChunkReader>(
    input: &T,
    metadata: &mut Option<ArrowReaderMetadata>,
) -> Result<ArrowReaderMetadata, ParquetError> {
    if let Some(metadata) = metadata {
        return Ok(metadata.clone());
    }
    let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Optional);
    Ok(metadata.insert(ArrowReaderMetadata::load(input, options)?).clone())
}

fn decoder_of<T: parquet::file::reader::ChunkReader + 'static>(
    input: T,
    metadata: &mut Option<ArrowReaderMetadata>,
    group: usize,
    rows: Rows,
    columns: &[usize],
) -> Result<ParquetRecordBatchReader, ParquetError> {
    let metadata = metadata_of(&input, metadata)?;
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
