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

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tidemill_plan::{SourceSpec, Window};

use crate::index::IndexCheck;
use check::{Checked, Checker};
use input::Input;
use layout::Layout;
use sorted::Sorted;

pub use error::SourceError;
pub use locate::{SourceFile, source_files};

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
    if files.is_empty() {
        return Err(SourceError::Missing { path: base.join(&spec.path).display().to_string() });
    }
    let layout = Layout::resolve(spec, files)?;
    let is_versioned = layout.knowledge.is_some() && layout.index.is_some();
    let order = if spec.sort || is_versioned {
        if layout.index.is_none() {
            return Err(SourceError::NothingToSortBy { file: files[0].name.clone() });
        }
        Order::Gather(Vec::new())
    } else {
        Order::Check { check: IndexCheck::new(layout.index.clone()), rows: 0 }
    };
    let checker = match layout.knowledge {
        None => Checker { start: window.start, end: window.read_end(), known_before: None },
        Some(_) => {
            let known_before = Window { end: None, ..*window }.read_end();
            Checker { start: window.start, end: window.end, known_before }
        }
    };
    Ok(SourceReader { layout, files: files.to_vec(), file: 0, input: None, checker, order, rows_seen: 0 })
}

impl SourceReader {
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
                if self.rows_seen == 0 {
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
