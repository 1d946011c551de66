//! How far a table has come: the last time of each identifier.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use tidemill_plan::{TableName, Time};

use crate::index::Index;
use crate::value::value_text;
use crate::{Lake, LakeError, Manifest, ReadOptions};

/// A table with more identifiers has no progress: the map of them is kept in memory.
pub const IDENTIFIERS_MAX: usize = 1_000_000;

/// The last committed time of one combination of identifiers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyProgress {
    /// In the order of the table's identifiers; empty for a table without.
    pub identifiers: Vec<String>,
    pub last: Time,
}

pub(crate) fn progress_of(lake: &Lake, manifest: &Manifest) -> Result<Vec<KeyProgress>, LakeError> {
    let Some(time_index) = &manifest.time_index else { return Ok(Vec::new()) };
    let Some(range) = manifest.time_range else { return Ok(Vec::new()) };
    if manifest.identifiers.is_empty() {
        return Ok(vec![KeyProgress { identifiers: Vec::new(), last: range.last }]);
    }
    let columns: Vec<String> = std::iter::once(time_index).chain(&manifest.identifiers).cloned().collect();
    let reader = lake.reader(manifest, ReadOptions { columns: Some(columns), ..ReadOptions::default() })?;
    let index = Index::of(&reader.schema(), Some(time_index), &manifest.identifiers)
        .expect("a manifest's index columns are in its schema");
    let failed = |e| LakeError::arrow(&manifest.table, "find the last times", &e);
    let mut tracker = ProgressTracker::new(&manifest.table, &reader.schema(), &index)?;
    for batch in reader {
        tracker.take(&batch?).map_err(failed)?;
        if tracker.is_over {
            return Err(LakeError::TooManyIdentifiers {
                table: manifest.table.clone(),
                max: IDENTIFIERS_MAX,
            });
        }
    }
    Ok(tracker.progress().unwrap_or_default())
}

/// Notes the last time of each identifier as rows go by.
#[derive(Debug)]
pub(crate) struct ProgressTracker {
    index: Index,
    converter: RowConverter,
    latest: HashMap<Vec<u8>, KeyProgress>,
    /// There are too many to remember.
    is_over: bool,
}

impl ProgressTracker {
    pub(crate) fn new(table: &TableName, schema: &Schema, index: &Index) -> Result<Self, LakeError> {
        let fields = index.identifiers.iter().map(|it| SortField::new(schema.field(*it).data_type().clone()));
        let converter = RowConverter::new(fields.collect())
            .map_err(|e| LakeError::arrow(table, "find the last times", &e))?;
        Ok(Self { index: index.clone(), converter, latest: HashMap::new(), is_over: false })
    }

    pub(crate) fn take(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        if self.is_over || batch.num_rows() == 0 {
            return Ok(());
        }
        if self.index.identifiers.is_empty() {
            let times = self.index.kind.values(batch.column(self.index.time));
            let last = self.index.kind.time(times[times.len() - 1]);
            self.latest.insert(Vec::new(), KeyProgress { identifiers: Vec::new(), last });
            return Ok(());
        }
        take_batch(batch, &self.index, &self.converter, &mut self.latest)?;
        if self.latest.len() > IDENTIFIERS_MAX {
            self.is_over = true;
            self.latest = HashMap::new();
        }
        Ok(())
    }

    /// Sorted by identifiers.
    pub(crate) fn progress(&self) -> Option<Vec<KeyProgress>> {
        if self.is_over {
            return None;
        }
        let mut progress: Vec<_> = self.latest.values().cloned().collect();
        progress.sort();
        Some(progress)
    }
}

/// Rows come in order of time, so the later row of an identifier simply counts.
fn take_batch(
    batch: &RecordBatch,
    index: &Index,
    converter: &RowConverter,
    latest: &mut HashMap<Vec<u8>, KeyProgress>,
) -> Result<(), ArrowError> {
    let columns: Vec<_> = index.identifiers.iter().map(|it| batch.column(*it).clone()).collect();
    let rows = converter.convert_columns(&columns)?;
    let times = index.kind.values(batch.column(index.time));
    for (row, time) in times.iter().enumerate() {
        let last = index.kind.time(*time);
        let key = rows.row(row);
        if let Some(known) = latest.get_mut(key.as_ref()) {
            known.last = last;
        } else {
            let identifiers = columns.iter().map(|it| value_text(it.as_ref(), row)).collect();
            latest.insert(key.as_ref().to_vec(), KeyProgress { identifiers, last });
        }
    }
    Ok(())
}
