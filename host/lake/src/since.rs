//! Rows that are new to a table: later than it has come for their identifiers.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use tidemill_plan::{TableName, Time};

use crate::index::Index;
use crate::value::value_text;
use crate::{KeyProgress, LakeError};

/// How far a table has come, to tell which rows it lacks.
#[derive(Clone, Debug, Default)]
pub struct Since {
    progress: HashMap<Vec<String>, Time>,
    /// The latest of these; `None` where there is no progress at all.
    latest: Option<Time>,
    /// Rows before it are nobody's.
    first: Option<Time>,
}

impl Since {
    #[must_use]
    pub fn new(progress: Vec<KeyProgress>, first: Option<Time>) -> Self {
        let latest = progress.iter().map(|it| it.last).max();
        let progress = progress.into_iter().map(|it| (it.identifiers, it.last)).collect();
        Self { progress, latest, first }
    }

    /// The last time that counts as there, as if nothing after `time` were.
    #[must_use]
    pub fn cut_before(mut self, time: Time) -> Self {
        let last = Time(time.0.saturating_sub(1));
        self.progress.values_mut().for_each(|it| *it = (*it).min(last));
        self.latest = self.latest.map(|it| it.min(last));
        self
    }

    /// The last time of these identifiers; `None` when the table has no row of them.
    #[must_use]
    pub fn last(&self, identifiers: &[String]) -> Option<Time> {
        self.progress.get(identifiers).copied()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.progress.is_empty()
    }

    /// The earliest of the last times.
    #[must_use]
    pub fn earliest(&self) -> Option<Time> {
        self.progress.values().min().copied()
    }

    /// The latest of them.
    #[must_use]
    pub fn latest(&self) -> Option<Time> {
        self.latest
    }

    /// The rows that are new. A batch whose time index is missing or of another type comes back whole: whoever writes it
    /// is told.
    pub fn filter(
        &self,
        table: &TableName,
        batch: &RecordBatch,
        time_index: &str,
        identifiers: &[String],
    ) -> Result<RecordBatch, LakeError> {
        let Some(index) = Index::of(batch.schema_ref(), Some(time_index), identifiers) else {
            return Ok(batch.clone());
        };
        let columns: Vec<&ArrayRef> = index.identifiers.iter().map(|it| batch.column(*it)).collect();
        let times = index.kind.values(batch.column(index.time));
        let nulls = batch.column(index.time).logical_nulls();
        let mut key: Vec<String> = Vec::with_capacity(columns.len());
        let is_new = |(row, value): (usize, &i64)| {
            // A null is no time: the writer refuses it.
            if nulls.as_ref().is_some_and(|it| it.is_null(row)) {
                return true;
            }
            let time = index.kind.time(*value);
            if self.first.is_some_and(|first| time < first) {
                return false;
            }
            if self.latest.is_none_or(|latest| time > latest) {
                return true;
            }
            key.clear();
            key.extend(columns.iter().map(|it| value_text(it.as_ref(), row)));
            self.progress.get(&key).is_none_or(|last| time > *last)
        };
        let mask: BooleanArray = times.iter().enumerate().map(is_new).map(Some).collect();
        if mask.true_count() == batch.num_rows() {
            return Ok(batch.clone());
        }
        filter_record_batch(batch, &mask).map_err(|e| LakeError::arrow(table, "leave out rows", &e))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Date32Array, StringArray};
    use arrow::datatypes::Date32Type;

    use super::*;

    const DAY: i64 = 86_400_000_000_000;

    fn filtered(since: &Since) -> String {
        let days = Date32Array::from(vec![1, 1, 2, 2, 3, 3]);
        let names = StringArray::from(vec!["a", "b", "a", "b", "a", "b"]);
        let columns: [(&str, ArrayRef); 2] = [("day", Arc::new(days)), ("name", Arc::new(names))];
        let batch = RecordBatch::try_from_iter(columns).expect("two columns");
        let new = since.filter(&TableName("t".to_owned()), &batch, "day", &["name".to_owned()]);
        let new = new.expect("it can be filtered");
        let days = new.column(0).as_primitive::<Date32Type>();
        let names = new.column(1).as_string::<i32>();
        (0..new.num_rows()).map(|row| format!("{}{} ", names.value(row), days.value(row))).collect()
    }

    fn at(name: &str, day: i64) -> KeyProgress {
        KeyProgress { identifiers: vec![name.to_owned()], last: Time(day * DAY) }
    }

    #[test]
    fn each_identifier_goes_on_from_its_own_last_time() {
        assert_eq!(filtered(&Since::new(vec![at("a", 2), at("b", 1)], None)), "b2 a3 b3 ");
    }

    #[test]
    fn a_new_identifier_begins_at_the_first_time() {
        assert_eq!(filtered(&Since::new(vec![at("a", 3)], Some(Time(2 * DAY)))), "b2 b3 ");
    }

    #[test]
    fn what_comes_after_a_correction_is_new() {
        let since = Since::new(vec![at("a", 3), at("b", 3)], None).cut_before(Time(2 * DAY));
        assert_eq!(filtered(&since), "a2 b2 a3 b3 ");
    }
}
