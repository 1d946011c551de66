//! The values of rows that belong together, column by column.

use arrow::array::{Array, RecordBatch, make_comparator};
use arrow::compute::SortOptions;
use arrow::datatypes::{Field, SchemaRef};
use arrow::error::ArrowError;

use super::number::{Gap, gap};
use super::{ColumnDifference, FirstDifference, Largest, RowPlace};
use crate::value::value_text;

/// A type with whether it takes nulls, for people.
pub(super) fn type_of(field: &Field) -> String {
    let name = tidemill_plan::data_type_name(field.data_type());
    if field.is_nullable() { format!("{name}, nullable") } else { name }
}

/// Rows of two batches that belong together, one after the other.
pub(super) struct Rows<'a> {
    pub(super) left: &'a RecordBatch,
    pub(super) right: &'a RecordBatch,
    /// The first of each.
    pub(super) from: (usize, usize),
    pub(super) length: usize,
}

/// The columns that both tables have with one type, and what differs in them so far.
pub(super) struct Pairs(Vec<Pair>);

struct Pair {
    left: usize,
    right: usize,
    found: ColumnDifference,
}

impl Pairs {
    pub(super) fn new(left: &SchemaRef, right: &SchemaRef) -> Self {
        let pair = |(position, field): (usize, &arrow::datatypes::FieldRef)| {
            let other = right.index_of(field.name()).ok()?;
            (right.field(other).data_type() == field.data_type()).then(|| Pair {
                left: position,
                right: other,
                found: ColumnDifference {
                    column: field.name().clone(),
                    changed: 0,
                    largest_absolute: None,
                    largest_relative: None,
                },
            })
        };
        Self(left.fields().iter().enumerate().filter_map(pair).collect())
    }

    /// The first difference among these rows, and the row's distance from the first.
    pub(super) fn compare(
        &mut self,
        rows: &Rows<'_>,
        place: &dyn Fn(usize) -> RowPlace,
    ) -> Result<Option<(usize, FirstDifference)>, ArrowError> {
        let mut first: Option<(usize, FirstDifference)> = None;
        for pair in &mut self.0 {
            let Some((offset, difference)) = pair.compare(rows, place)? else { continue };
            // Of columns that differ in one row, the first is told.
            if first.as_ref().is_none_or(|(it, _)| offset < *it) {
                first = Some((offset, difference));
            }
        }
        Ok(first)
    }

    pub(super) fn finish(self) -> Vec<ColumnDifference> {
        self.0.into_iter().map(|it| it.found).filter(|it| it.changed > 0).collect()
    }
}

impl Pair {
    fn compare(
        &mut self,
        rows: &Rows<'_>,
        place: &dyn Fn(usize) -> RowPlace,
    ) -> Result<Option<(usize, FirstDifference)>, ArrowError> {
        let left = rows.left.column(self.left).slice(rows.from.0, rows.length);
        let right = rows.right.column(self.right).slice(rows.from.1, rows.length);
        if left.as_ref() == right.as_ref() {
            return Ok(None);
        }
        // Types without an order have no comparator; a row of them is compared as an array of one.
        let comparator = make_comparator(left.as_ref(), right.as_ref(), SortOptions::default()).ok();
        let mut first = None;
        for row in 0..rows.length {
            let is_equal = match &comparator {
                Some(it) => it(row, row).is_eq(),
                None => left.slice(row, 1).as_ref() == right.slice(row, 1).as_ref(),
            };
            if is_equal {
                continue;
            }
            self.found.changed += 1;
            if first.is_none() {
                first = Some((
                    row,
                    FirstDifference {
                        row: place(row),
                        column: Some(self.found.column.clone()),
                        before: Some(value_text(&left, row)),
                        after: Some(value_text(&right, row)),
                    },
                ));
            }
            if let Some(Gap { absolute, relative }) = gap(left.as_ref(), right.as_ref(), row) {
                let largest = |difference: f64| Largest {
                    difference,
                    row: place(row),
                    before: value_text(&left, row),
                    after: value_text(&right, row),
                };
                raise(&mut self.found.largest_absolute, absolute, largest);
                raise(&mut self.found.largest_relative, relative, largest);
            }
        }
        Ok(first)
    }
}

/// The first of several that are equally large stays.
fn raise(largest: &mut Option<Largest>, difference: f64, make: impl Fn(f64) -> Largest) {
    if largest.as_ref().is_none_or(|it| difference > it.difference) {
        *largest = Some(make(difference));
    }
}
