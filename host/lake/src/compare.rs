//! What differs between two tables: columns, rows, values. Reads both once, side by side, a batch of each at a time.
//!
//! Rows are matched by the index where both tables have the same one, else by position. Values count as equal when
//! they are bit for bit: what a snapshot's digest tells apart is told apart here.

mod columns;
mod first_change;
mod first_unequal;
mod number;

use std::ops::Range;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use tidemill_plan::{TableName, Time};

use crate::index::Index;
use crate::value::value_text;
use crate::{Lake, LakeError, Manifest, ReadOptions, TableReader};
use columns::Pairs;
pub use first_change::first_change;
pub use first_unequal::first_unequal;

/// What differs; nothing does when `is_equal`.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDifference {
    pub columns_added: Vec<String>,
    pub columns_removed: Vec<String>,
    /// Of these, values are compared only where nothing but `nullable` differs.
    pub columns_retyped: Vec<Retyped>,
    /// What else differs of the shape, as sentences: index, order of columns, metadata.
    pub shape: Vec<String>,
    pub matched_by: MatchedBy,
    pub rows_before: u64,
    pub rows_after: u64,
    pub rows_added: u64,
    pub rows_removed: u64,
    /// Columns with changed values, in the order of the table before.
    pub columns_changed: Vec<ColumnDifference>,
    pub first: Option<FirstDifference>,
}

/// How a row of one table finds its like in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchedBy {
    /// Time and identifiers.
    Index,
    Position,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retyped {
    pub column: String,
    pub before: String,
    pub after: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ColumnDifference {
    pub column: String,
    /// Rows in both tables whose values differ.
    pub changed: u64,
    /// Of numbers: the largest |after − before|.
    pub largest_absolute: Option<Largest>,
    /// Of numbers: the largest |after − before| / max(|before|, |after|).
    pub largest_relative: Option<Largest>,
}

/// The pair of values that differs most.
#[derive(Clone, Debug, PartialEq)]
pub struct Largest {
    pub difference: f64,
    pub row: RowPlace,
    pub before: String,
    pub after: String,
}

/// Where a row is. Rows count from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowPlace {
    pub before: Option<u64>,
    pub after: Option<u64>,
    /// Time and identifiers, where rows are matched by them.
    pub index: Option<String>,
}

/// The first row that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstDifference {
    pub row: RowPlace,
    /// The first column that differs; `None` when one of the tables lacks the row.
    pub column: Option<String>,
    /// `None` when the table before lacks the row.
    pub before: Option<String>,
    pub after: Option<String>,
}

impl TableDifference {
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.columns_added.is_empty()
            && self.columns_removed.is_empty()
            && self.columns_retyped.is_empty()
            && self.shape.is_empty()
            && self.rows_added == 0
            && self.rows_removed == 0
            && self.columns_changed.is_empty()
    }
}

/// Compares two snapshots, which may lie in different lakes.
pub fn compare(before: (&Lake, &Manifest), after: (&Lake, &Manifest)) -> Result<TableDifference, LakeError> {
    compare_within(before, after, None, None)
}

/// Compares only rows whose time lies in [start, end); the counts of all rows still are of the whole tables.
pub fn compare_within(
    before: (&Lake, &Manifest),
    after: (&Lake, &Manifest),
    start: Option<Time>,
    end: Option<Time>,
) -> Result<TableDifference, LakeError> {
    let range = ReadOptions { start, end, ..ReadOptions::default() };
    let index = common_index(before.1, after.1);
    let mut comparison = Comparison {
        table: after.1.table.clone(),
        index,
        difference: shape_difference(before.1, after.1),
        pairs: Pairs::new(&before.1.schema, &after.1.schema),
        step: 0,
        first_step: None,
    };
    comparison.difference.matched_by =
        if comparison.index.is_some() { MatchedBy::Index } else { MatchedBy::Position };
    let mut before = Side::open(before.0, before.1, &range)?;
    let mut after = Side::open(after.0, after.1, &range)?;
    loop {
        match (before.fill()?, after.fill()?) {
            (None, None) => break,
            (Some(rows), None) => comparison.removed(&before, rows.start..rows.end),
            (None, Some(rows)) => comparison.added(&after, rows.start..rows.end),
            (Some(left), Some(right)) => {
                let (left, right) = comparison.advance(&before, &left, &after, &right)?;
                before.at = left;
                after.at = right;
                continue;
            }
        }
        // One of the tables has ended: what was left of the other's batch is done.
        before.at = before.rows();
        after.at = after.rows();
    }
    Ok(comparison.finish())
}

/// The index, by positions in each table, when both have the same.
fn common_index(before: &Manifest, after: &Manifest) -> Option<(Index, Index)> {
    if before.time_index != after.time_index || before.identifiers != after.identifiers {
        return None;
    }
    let of = |it: &Manifest| Index::of(&it.schema, it.time_index.as_deref(), &it.identifiers);
    let (left, right) = (of(before)?, of(after)?);
    let types = |index: &Index, schema: &SchemaRef| {
        index.columns().map(|it| schema.field(it).data_type().clone()).collect::<Vec<_>>()
    };
    (types(&left, &before.schema) == types(&right, &after.schema)).then_some((left, right))
}

fn shape_difference(before: &Manifest, after: &Manifest) -> TableDifference {
    let mut it = TableDifference {
        columns_added: missing(&after.schema, &before.schema),
        columns_removed: missing(&before.schema, &after.schema),
        columns_retyped: Vec::new(),
        shape: Vec::new(),
        matched_by: MatchedBy::Position,
        rows_before: before.rows,
        rows_after: after.rows,
        rows_added: 0,
        rows_removed: 0,
        columns_changed: Vec::new(),
        first: None,
    };
    for field in before.schema.fields() {
        let Ok(other) = after.schema.field_with_name(field.name()) else { continue };
        let column = field.name();
        if field.data_type() != other.data_type() || field.is_nullable() != other.is_nullable() {
            let (before, after) = (columns::type_of(field), columns::type_of(other));
            it.columns_retyped.push(Retyped { column: column.clone(), before, after });
        } else if field.metadata() != other.metadata() {
            it.shape.push(format!("the metadata of column `{column}` differs"));
        }
    }
    let common = |of: &SchemaRef, other: &SchemaRef| -> Vec<String> {
        let names = of.fields().iter().map(|it| it.name().clone());
        names.filter(|it| other.index_of(it).is_ok()).collect()
    };
    if common(&before.schema, &after.schema) != common(&after.schema, &before.schema) {
        it.shape.push("the columns come in another order".to_owned());
    }
    if before.schema.metadata() != after.schema.metadata() {
        it.shape.push("the metadata of the table differs".to_owned());
    }
    if before.time_index != after.time_index || before.identifiers != after.identifiers {
        it.shape.push(format!("the index is {} instead of {}", index_text(after), index_text(before)));
    }
    it
}

fn missing(from: &SchemaRef, in_: &SchemaRef) -> Vec<String> {
    let names = from.fields().iter().map(|it| it.name());
    names.filter(|it| in_.index_of(it).is_err()).cloned().collect()
}

fn index_text(it: &Manifest) -> String {
    let names: Vec<&str> = it.time_index.iter().chain(&it.identifiers).map(String::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { format!("`{}`", names.join(", ")) }
}

/// One of the tables, and how far it has been read.
struct Side {
    reader: TableReader,
    batch: Option<RecordBatch>,
    /// The next row of the batch.
    at: usize,
    /// Rows before the batch.
    rows_before: u64,
}

impl Side {
    fn open(lake: &Lake, manifest: &Manifest, range: &ReadOptions) -> Result<Self, LakeError> {
        let reader = lake.reader(manifest, range.clone())?;
        Ok(Self { reader, batch: None, at: 0, rows_before: 0 })
    }

    fn rows(&self) -> usize {
        self.batch.as_ref().map_or(0, RecordBatch::num_rows)
    }

    /// The rows of the current batch that are left; `None` at the end.
    fn fill(&mut self) -> Result<Option<Range<usize>>, LakeError> {
        if self.at >= self.rows() {
            self.rows_before += self.rows() as u64;
            self.batch = self.reader.next_batch()?;
            self.at = 0;
        }
        Ok((self.at < self.rows()).then_some(self.at..self.rows()))
    }

    fn batch(&self) -> &RecordBatch {
        self.batch.as_ref().expect("rows are asked for where some are left")
    }

    /// Counted from 1.
    fn number(&self, row: usize) -> u64 {
        self.rows_before + row as u64 + 1
    }
}

/// Rows of two batches that belong together, one after the other.
#[derive(Clone, Copy, Debug)]
struct Run {
    left: usize,
    right: usize,
    length: usize,
    /// Of its first row.
    step: u64,
}

struct Comparison {
    table: TableName,
    index: Option<(Index, Index)>,
    difference: TableDifference,
    pairs: Pairs,
    /// Rows of either table, pairs counted once, that were passed.
    step: u64,
    /// Of `difference.first`.
    first_step: Option<u64>,
}

impl Comparison {
    /// Passes rows until one of the two batches is used up; returns how far each is.
    fn advance(
        &mut self,
        before: &Side,
        left: &Range<usize>,
        after: &Side,
        right: &Range<usize>,
    ) -> Result<(usize, usize), LakeError> {
        let length = left.len().min(right.len());
        let whole = Run { left: left.start, right: right.start, length, step: self.step };
        let runs = if self.indexes_agree(before.batch(), after.batch(), whole) {
            self.step += length as u64;
            vec![whole]
        } else {
            self.merge(before, left, after, right)?
        };
        let (mut at_left, mut at_right) = (left.start, right.start);
        if let Some(last) = runs.last() {
            (at_left, at_right) = (last.left + last.length, last.right + last.length);
        }
        for run in runs.iter().filter(|it| it.length > 0) {
            self.compare_values(before, after, *run)?;
        }
        Ok((at_left, at_right))
    }

    /// True without an index: then positions are all there is.
    fn indexes_agree(&self, left: &RecordBatch, right: &RecordBatch, run: Run) -> bool {
        let Some((of_left, of_right)) = &self.index else { return true };
        of_left.columns().zip(of_right.columns()).all(|(a, b)| {
            left.column(a).slice(run.left, run.length).as_ref()
                == right.column(b).slice(run.right, run.length).as_ref()
        })
    }

    /// Walks both batches by the index. The last run, perhaps of no rows, tells how far each was used.
    fn merge(
        &mut self,
        before: &Side,
        left: &Range<usize>,
        after: &Side,
        right: &Range<usize>,
    ) -> Result<Vec<Run>, LakeError> {
        let (of_left, of_right) = self.index.clone().expect("without an index all positions agree");
        let comparator =
            of_left.comparator_with(before.batch(), after.batch(), &of_right).map_err(|e| self.failed(&e))?;
        let (mut l, mut r) = (left.start, right.start);
        let mut runs: Vec<Run> = Vec::new();
        while l < left.end && r < right.end {
            match comparator.compare(l, r) {
                std::cmp::Ordering::Less => {
                    self.removed(before, l..l + 1);
                    l += 1;
                }
                std::cmp::Ordering::Greater => {
                    self.added(after, r..r + 1);
                    r += 1;
                }
                std::cmp::Ordering::Equal => {
                    match runs.last_mut() {
                        Some(it) if it.left + it.length == l && it.right + it.length == r => it.length += 1,
                        _ => runs.push(Run { left: l, right: r, length: 1, step: self.step }),
                    }
                    self.step += 1;
                    l += 1;
                    r += 1;
                }
            }
        }
        runs.push(Run { left: l, right: r, length: 0, step: self.step });
        Ok(runs)
    }

    fn removed(&mut self, side: &Side, rows: Range<usize>) {
        self.difference.rows_removed += rows.len() as u64;
        if self.is_first(self.step) {
            let index = self.index.as_ref().map(|(it, _)| it.text(side.batch(), rows.start));
            let row = RowPlace { before: Some(side.number(rows.start)), after: None, index };
            let before = Some(row_text(side.batch(), rows.start));
            self.first(self.step, FirstDifference { row, column: None, before, after: None });
        }
        self.step += rows.len() as u64;
    }

    fn added(&mut self, side: &Side, rows: Range<usize>) {
        self.difference.rows_added += rows.len() as u64;
        if self.is_first(self.step) {
            let index = self.index.as_ref().map(|(_, it)| it.text(side.batch(), rows.start));
            let row = RowPlace { before: None, after: Some(side.number(rows.start)), index };
            let after = Some(row_text(side.batch(), rows.start));
            self.first(self.step, FirstDifference { row, column: None, before: None, after });
        }
        self.step += rows.len() as u64;
    }

    /// Asked before a row is put into words, which takes longer than comparing it.
    fn is_first(&self, step: u64) -> bool {
        self.first_step.is_none_or(|it| step < it)
    }

    fn first(&mut self, step: u64, difference: FirstDifference) {
        if self.is_first(step) {
            self.first_step = Some(step);
            self.difference.first = Some(difference);
        }
    }

    fn compare_values(&mut self, before: &Side, after: &Side, run: Run) -> Result<(), LakeError> {
        let index = self.index.as_ref().map(|(it, _)| it);
        let place = |offset: usize| RowPlace {
            before: Some(before.number(run.left + offset)),
            after: Some(after.number(run.right + offset)),
            index: index.map(|it| it.text(before.batch(), run.left + offset)),
        };
        let rows = columns::Rows {
            left: before.batch(),
            right: after.batch(),
            from: (run.left, run.right),
            length: run.length,
        };
        let first = self
            .pairs
            .compare(&rows, &place)
            .map_err(|e| LakeError::arrow(&self.table, "compare values", &e))?;
        if let Some((offset, difference)) = first {
            self.first(run.step + offset as u64, difference);
        }
        Ok(())
    }

    fn failed(&self, error: &ArrowError) -> LakeError {
        LakeError::arrow(&self.table, "compare rows", error)
    }

    fn finish(mut self) -> TableDifference {
        self.difference.columns_changed = self.pairs.finish();
        self.difference
    }
}

/// A whole row, as far as it fits into a line.
fn row_text(batch: &RecordBatch, row: usize) -> String {
    const COLUMNS_SHOWN: usize = 8;
    let schema = batch.schema_ref();
    let cell = |(column, field): (&arrow::array::ArrayRef, &arrow::datatypes::FieldRef)| {
        format!("{}={}", field.name(), value_text(column, row))
    };
    let cells: Vec<String> =
        batch.columns().iter().zip(schema.fields()).take(COLUMNS_SHOWN).map(cell).collect();
    let more = if batch.num_columns() > COLUMNS_SHOWN { ", …" } else { "" };
    cells.join(", ") + more
}

#[cfg(test)]
mod tests;
