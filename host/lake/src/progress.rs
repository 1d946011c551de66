//! How far a table has come: the last time of each identifier.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use arrow::row::{RowConverter, SortField};
use tidemill_plan::Time;

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
    let fields =
        index.identifiers.iter().map(|it| SortField::new(reader.schema().field(*it).data_type().clone()));
    let converter = RowConverter::new(fields.collect()).map_err(failed)?;
    let mut latest: HashMap<Vec<u8>, KeyProgress> = HashMap::new();
    for batch in reader {
        take_batch(&batch?, &index, &converter, &mut latest).map_err(failed)?;
        if latest.len() > IDENTIFIERS_MAX {
            return Err(LakeError::TooManyIdentifiers {
                table: manifest.table.clone(),
                max: IDENTIFIERS_MAX,
            });
        }
    }
    let mut progress: Vec<_> = latest.into_values().collect();
    progress.sort();
    Ok(progress)
}

/// Rows come in order of time, so the later row of an identifier simply counts.
fn take_batch(
    batch: &RecordBatch,
    index: &Index,
    converter: &RowConverter,
    latest: &mut HashMap<Vec<u8>, KeyProgress>,
) -> Result<(), arrow::error::ArrowError> {
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
