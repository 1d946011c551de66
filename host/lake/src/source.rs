//! Sources: files become validated, sorted batches, clipped to what a run may see.
//!
//! Rules, where a pipeline leaves something open:
//! - **files**: a folder gives its files of the format's extension, a folder or glob is read in order of file names, and
//!   the files' rows follow each other; all files must have the same columns.
//! - **columns**: declared columns are kept, with the index columns; without declared columns all are. In JSON lines,
//!   where objects have no order, columns come by name. Metadata is dropped.
//! - **types**: declared types are cast to, refusing values that do not fit. Otherwise Parquet and Arrow keep their
//!   types; a CSV column is the first of integer, float, boolean, timestamp (UTC where no offset is written) and text
//!   that all its values in all files fit; numbers with leading zeros are text; an empty field is null. Text of JSON
//!   lines that is all timestamps becomes timestamps. Inferred timestamps are `timestamp[us, UTC]`.
//! - **time index**: the only column of a timestamp or date type; of several, the one called `time_index`, `timestamp`,
//!   `time`, `date` or `datetime`, in this order; else none.
//! - **identifiers**: with a time index, the first of `unique_identifier`, `identifier`, `symbol`, `ticker`, `id` whose
//!   type can be one; else none.
//!
//! - **knowledge time**: where a column says when each row became known, as-of hides rows by that column instead of the
//!   time index; of several rows of one index, the one known last is read. Such a source is sorted on reading.
//!
//! Rows outside of the window are not validated: what lies ahead of as-of must not change what a run does.

mod check;
mod convert;
mod error;
mod infer;
mod input;
mod layout;
mod locate;
mod sorted;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tidemill_plan::{Digest, SourceFormat, SourcePlace, SourceSpec, TableName, Window};

use crate::index::IndexCheck;
use check::{Checked, Checker};
use input::Input;
use layout::Layout;
use sorted::Sorted;

pub use error::SourceError;
pub use locate::{SourceFile, source_files};

/// A table that somebody else keeps, as a source reads it.
pub struct TableRows {
    pub table: TableName,
    pub schema: SchemaRef,
    /// Whether its rows come in the order of the index that the source has.
    pub order: RowOrder,
    /// Errors are told in words.
    pub batches: Box<dyn Iterator<Item = Result<RecordBatch, String>> + Send>,
}

impl std::fmt::Debug for TableRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableRows").field("table", &self.table).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOrder {
    /// Perhaps; others are refused as those of a file are.
    AsFiles,
    /// Another program wrote them in no order: they are sorted.
    Any,
}

/// Streams a source's rows, validated.
#[derive(Debug)]
pub struct SourceReader {
    layout: Layout,
    files: Vec<SourceFile>,
    /// The file being read.
    file: usize,
    input: Option<Input>,
    checker: Checker,
    order: Order,
    /// Rows in the files so far, those outside of the window too.
    rows_seen: u64,
    may_be_empty: bool,
}

#[derive(Debug)]
enum Order {
    /// Refuse rows out of order.
    Check {
        check: IndexCheck,
        rows: u64,
    },
    /// Gather all rows, then sort.
    Gather(Vec<Checked>),
    Sorted(Sorted),
}

/// Opens the files that `source_files` found and finds out their columns. Text files are read once for this when
/// types are to be inferred.
pub fn open_source(
    spec: &SourceSpec,
    base: &Path,
    files: &[SourceFile],
    window: &Window,
) -> Result<SourceReader, SourceError> {
    let (format, path) = match &spec.place {
        SourcePlace::Files { format, path } => (*format, path),
        SourcePlace::Table { table } => return Err(SourceError::OfService { table: table.0.clone() }),
    };
    if files.is_empty() {
        return Err(SourceError::Missing { path: base.join(path).display().to_string() });
    }
    let layout = Layout::of_files(spec, format, files)?;
    SourceReader::new(spec, layout, files.to_vec(), window)
}

/// Opens a table as a source: its columns have their types, and all else is as with files. One without rows is no error.
pub fn open_table_source(
    spec: &SourceSpec,
    rows: TableRows,
    window: &Window,
) -> Result<SourceReader, SourceError> {
    let TableRows { table, schema, order, batches } = rows;
    let name = format!("table {table}");
    let place = SourceFile { path: PathBuf::new(), name, bytes: 0, digest: Digest::of(b"") };
    let raw = vec![schema.clone()];
    let layout = Layout::resolve(spec, SourceFormat::Arrow, std::slice::from_ref(&place), raw)?;
    let names: Vec<&str> = layout.columns.iter().map(|it| it.name.as_str()).collect();
    let input = Input::of_batches(batches, &schema, &names);
    let sort = spec.sort || (order == RowOrder::Any && layout.index.is_some());
    let spec = SourceSpec { sort, ..spec.clone() };
    let reader = SourceReader::new(&spec, layout, vec![place], window)?;
    Ok(SourceReader { input: Some(input), may_be_empty: true, ..reader })
}

fn order_of(spec: &SourceSpec, layout: &Layout, files: &[SourceFile]) -> Result<Order, SourceError> {
    let is_versioned = layout.knowledge.is_some() && layout.index.is_some();
    if !spec.sort && !is_versioned {
        return Ok(Order::Check { check: IndexCheck::new(layout.index.clone()), rows: 0 });
    }
    if layout.index.is_none() {
        return Err(SourceError::NothingToSortBy { file: files[0].name.clone() });
    }
    Ok(Order::Gather(Vec::new()))
}

fn checker_of(layout: &Layout, window: &Window) -> Checker {
    match layout.knowledge {
        None => Checker { start: window.start, end: window.read_end(), known_before: None },
        Some(_) => {
            let known_before = Window { end: None, ..*window }.read_end();
            Checker { start: window.start, end: window.end, known_before }
        }
    }
}

impl SourceReader {
    fn new(
        spec: &SourceSpec,
        layout: Layout,
        files: Vec<SourceFile>,
        window: &Window,
    ) -> Result<Self, SourceError> {
        let order = order_of(spec, &layout, &files)?;
        let checker = checker_of(&layout, window);
        Ok(Self { layout, files, file: 0, input: None, checker, order, rows_seen: 0, may_be_empty: false })
    }

    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.layout.schema.clone()
    }

    #[must_use]
    pub fn time_index(&self) -> Option<&str> {
        self.layout.time_index()
    }

    #[must_use]
    pub fn identifiers(&self) -> &[String] {
        &self.layout.identifiers
    }

    /// The next batch, never empty; `None` at the end.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        loop {
            if let Order::Sorted(sorted) = &mut self.order {
                return Ok(sorted.next());
            }
            let Some(checked) = self.next_checked()? else {
                if self.rows_seen == 0 && !self.may_be_empty {
                    return Err(SourceError::Empty { file: self.files[0].name.clone() });
                }
                let Order::Gather(gathered) = &mut self.order else { return Ok(None) };
                let gathered = std::mem::take(gathered);
                self.order = Order::Sorted(Sorted::sort(&self.layout, &gathered)?);
                continue;
            };
            if checked.batch.num_rows() == 0 {
                continue;
            }
            match &mut self.order {
                Order::Gather(gathered) => gathered.push(checked),
                Order::Check { check, rows } => {
                    let before = *rows;
                    *rows += checked.batch.num_rows() as u64;
                    let order = check.check(&checked.batch).map_err(|e| checked.unreadable(&e))?;
                    order.map_err(|it| {
                        let row = checked.rows.in_file((it.row - before) as usize);
                        SourceError::violation(&checked.file, row, it)
                    })?;
                    return Ok(Some(checked.batch));
                }
                Order::Sorted(_) => {}
            }
        }
    }

    /// The next batch of the files, checked by itself.
    fn next_checked(&mut self) -> Result<Option<Checked>, SourceError> {
        loop {
            let Some(file) = self.files.get(self.file) else { return Ok(None) };
            let input = match &mut self.input {
                Some(input) => input,
                None => self.input.insert(self.layout.open(self.file, file, &self.checker)?),
            };
            if let Some(raw) = input.next(&file.name)? {
                self.rows_seen = self.rows_seen.max(1);
                return self.checker.check(&self.layout, &file.name, raw).map(Some);
            }
            self.rows_seen += input.rows_skipped();
            self.input = None;
            self.file += 1;
        }
    }
}
