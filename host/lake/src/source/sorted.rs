//! Sorts a source's rows by their index, for sources that ask for it.

use arrow::array::{BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{
    SortColumn, concat_batches, filter_record_batch, lexsort_to_indices, take_record_batch,
};
use arrow::error::ArrowError;

use super::SourceError;
use super::check::Checked;
use super::layout::Layout;
use crate::index::{Index, IndexCheck};

const BATCH_ROWS: usize = 65_536;

/// Sorted rows, handed out in batches.
#[derive(Debug)]
pub(crate) struct Sorted {
    rows: RecordBatch,
    done: usize,
}

impl Sorted {
    /// Of rows of one index that became known at different times only the last is kept. Duplicates are refused, naming
    /// the row that comes later in the files.
    pub(crate) fn sort(layout: &Layout, gathered: &[Checked]) -> Result<Self, SourceError> {
        let Some(first) = gathered.first() else {
            return Ok(Self { rows: RecordBatch::new_empty(layout.schema.clone()), done: 0 });
        };
        let failed = |e| SourceError::unreadable(&first.file, e);
        let all = concat_batches(&layout.schema, gathered.iter().map(|it| &it.batch)).map_err(failed)?;
        let index = layout.index.clone().expect("only sources with a time index are sorted");
        let mut versions = index.clone();
        versions.identifiers.extend(layout.knowledge.map(|(column, _)| column));
        let columns = versions.columns();
        let columns: Vec<SortColumn> =
            columns.map(|it| SortColumn { values: all.column(it).clone(), options: None }).collect();
        let order: UInt32Array = lexsort_to_indices(&columns, None).map_err(failed)?;
        let rows = take_record_batch(&all, &order).map_err(failed)?;
        let sound = IndexCheck::new(Some(versions)).check(&rows).map_err(failed)?;
        sound.map_err(|violation| {
            let here = violation.row as usize;
            // The sort is not stable: of two equal rows the later one in the files is the duplicate.
            let before = order.value(here.saturating_sub(1)) as usize;
            let (file, row) = place_of(gathered, before.max(order.value(here) as usize));
            SourceError::violation(file, row, violation)
        })?;
        let rows = if layout.knowledge.is_some() { newest(&index, &rows).map_err(failed)? } else { rows };
        Ok(Self { rows, done: 0 })
    }

    pub(crate) fn next(&mut self) -> Option<RecordBatch> {
        let taken = (self.rows.num_rows() - self.done).min(BATCH_ROWS);
        let batch = self.rows.slice(self.done, taken);
        self.done += taken;
        (taken > 0).then_some(batch)
    }
}

/// The last row of each index.
fn newest(index: &Index, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let comparator = index.comparator(rows, rows)?;
    let count = rows.num_rows();
    let is_newest = |row: usize| row + 1 == count || comparator.compare(row, row + 1).is_ne();
    let newest: BooleanArray = (0..count).map(|row| Some(is_newest(row))).collect();
    filter_record_batch(rows, &newest)
}

fn place_of(gathered: &[Checked], mut row: usize) -> (&str, u64) {
    for checked in gathered {
        if row < checked.batch.num_rows() {
            return (&checked.file, checked.rows.in_file(row));
        }
        row -= checked.batch.num_rows();
    }
    unreachable!("row {row} lies past the rows that were sorted")
}
