//! Merges new rows into the rows that a table has, both sorted by the index, holding one block of each.

use std::cmp::Ordering;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use tidemill_plan::{TableName, WriteMode};

use crate::LakeError;
use crate::index::Index;
use crate::reader::TableReader;

/// Takes merged batches in order.
pub(crate) type Emit<'a> = &'a mut dyn FnMut(&RecordBatch) -> Result<(), LakeError>;

#[derive(Debug)]
pub(crate) struct Merge {
    table: TableName,
    /// `None`: new rows go after the old ones.
    index: Option<Index>,
    mode: WriteMode,
    old: TableReader,
    /// A batch of old rows and how many of them are out already.
    current: Option<(RecordBatch, usize)>,
}

impl Merge {
    pub(crate) fn new(table: TableName, index: Option<Index>, mode: WriteMode, old: TableReader) -> Self {
        Self { table, index, mode, old, current: None }
    }

    /// Emits everything up to the last row of `new`, which had `rows` rows before it.
    pub(crate) fn push(&mut self, new: &RecordBatch, rows: u64, emit: Emit<'_>) -> Result<(), LakeError> {
        let Some(index) = self.index.clone() else {
            self.rest(emit)?;
            return emit(new);
        };
        let mut at = 0;
        while at < new.num_rows() {
            let Some((old, from)) = self.next_old()? else {
                return emit(&new.slice(at, new.num_rows() - at));
            };
            let order =
                index.comparator(&old, new).map_err(|e| LakeError::arrow(&self.table, "compare rows", &e))?;
            if order.compare(old.num_rows() - 1, at).is_lt() {
                emit(&old.slice(from, old.num_rows() - from))?;
                continue;
            }
            let mut from = from;
            let mut picked = Vec::new();
            while from < old.num_rows() && at < new.num_rows() {
                match order.compare(from, at) {
                    Ordering::Less => {
                        picked.push((0, from));
                        from += 1;
                    }
                    Ordering::Greater => {
                        picked.push((1, at));
                        at += 1;
                    }
                    Ordering::Equal if self.mode == WriteMode::Upsert => {
                        picked.push((1, at));
                        from += 1;
                        at += 1;
                    }
                    Ordering::Equal => {
                        let (table, value) = (self.table.clone(), index.text(new, at));
                        return Err(LakeError::AlreadyThere { table, row: rows + at as u64 + 1, value });
                    }
                }
            }
            let merged = interleave_record_batch(&[&old, new], &picked)
                .map_err(|e| LakeError::arrow(&self.table, "merge rows", &e))?;
            emit(&merged)?;
            if from < old.num_rows() {
                self.current = Some((old, from));
            }
        }
        Ok(())
    }

    /// Emits the old rows that are left.
    pub(crate) fn rest(&mut self, emit: Emit<'_>) -> Result<(), LakeError> {
        while let Some((old, from)) = self.next_old()? {
            emit(&old.slice(from, old.num_rows() - from))?;
        }
        Ok(())
    }

    fn next_old(&mut self) -> Result<Option<(RecordBatch, usize)>, LakeError> {
        if let Some(current) = self.current.take() {
            return Ok(Some(current));
        }
        Ok(self.old.next_batch()?.map(|it| (it, 0)))
    }
}
