//! The index of a table: which columns it is, and whether rows come sorted by it and only once.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, AsArray, DynComparator, RecordBatch, UInt64Array, make_comparator};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;

use crate::time::TimeKind;
use crate::value::value_text;

/// Positions of the index columns in a schema.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) time: usize,
    pub(crate) kind: TimeKind,
    pub(crate) identifiers: Vec<usize>,
}

impl Index {
    /// `None` when a column is missing or its type cannot be an index; see `shape` for who says so to the user.
    pub(crate) fn of(schema: &Schema, time_index: Option<&str>, identifiers: &[String]) -> Option<Self> {
        let time = schema.index_of(time_index?).ok()?;
        let kind = TimeKind::of(schema.field(time).data_type())?;
        let identifiers = identifiers.iter().map(|it| schema.index_of(it).ok()).collect::<Option<_>>()?;
        Some(Self { time, kind, identifiers })
    }

    pub(crate) fn columns(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.time).chain(self.identifiers.iter().copied())
    }

    /// Compares rows of two batches of one schema by the index.
    pub(crate) fn comparator(
        &self,
        left: &RecordBatch,
        right: &RecordBatch,
    ) -> Result<RowComparator, ArrowError> {
        self.comparator_with(left, right, self)
    }

    /// Compares rows of two batches by the index, which stands in `right` where `of_right` says.
    pub(crate) fn comparator_with(
        &self,
        left: &RecordBatch,
        right: &RecordBatch,
        of_right: &Self,
    ) -> Result<RowComparator, ArrowError> {
        let columns = self.columns().zip(of_right.columns()).map(|(a, b)| {
            make_comparator(left.column(a).as_ref(), right.column(b).as_ref(), SortOptions::default())
        });
        Ok(RowComparator { columns: columns.collect::<Result<_, _>>()? })
    }

    pub(crate) fn text(&self, batch: &RecordBatch, row: usize) -> String {
        self.columns().map(|it| value_text(batch.column(it), row)).collect::<Vec<_>>().join(", ")
    }
}

/// True for types whose values name things: they have an order, and equality means what it says.
pub(crate) fn is_identifier_type(data_type: &DataType) -> bool {
    if let DataType::Dictionary(_, values) = data_type {
        return !matches!(**values, DataType::Dictionary(_, _)) && is_identifier_type(values);
    }
    data_type.is_integer()
        || matches!(
            data_type,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Date32 | DataType::Date64
        )
}

pub(crate) struct RowComparator {
    columns: Vec<DynComparator>,
}

impl RowComparator {
    pub(crate) fn compare(&self, left: usize, right: usize) -> Ordering {
        self.columns.iter().map(|it| it(left, right)).find(|it| it.is_ne()).unwrap_or(Ordering::Equal)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ViolationKind {
    Unsorted,
    Duplicate,
    Null,
}

/// The first row that breaks the index.
#[derive(Debug)]
pub(crate) struct Violation {
    /// From 0, over all batches checked.
    pub(crate) row: u64,
    pub(crate) column: String,
    pub(crate) kind: ViolationKind,
    pub(crate) value: String,
    pub(crate) previous: String,
}

/// Checks batch after batch; remembers one row.
#[derive(Debug)]
pub(crate) struct IndexCheck {
    index: Option<Index>,
    rows: u64,
    /// The last row seen, copied so that it does not keep its batch alive.
    last: Option<RecordBatch>,
}

impl IndexCheck {
    /// Without an index every row is fine.
    pub(crate) fn new(index: Option<Index>) -> Self {
        Self { index, rows: 0, last: None }
    }

    /// Outer error: rows that cannot be compared at all; inner: the first row that breaks the index.
    pub(crate) fn check(&mut self, batch: &RecordBatch) -> Result<Result<(), Violation>, ArrowError> {
        let first_row = self.rows;
        self.rows += batch.num_rows() as u64;
        let Some(index) = &self.index else { return Ok(Ok(())) };
        if batch.num_rows() == 0 {
            return Ok(Ok(()));
        }
        let null = null_violation(index, batch, first_row);
        // A null before the first row out of order is the first violation; one after it is not.
        let sound = null.as_ref().map_or(batch.num_rows(), |it| (it.row - first_row) as usize);
        if let Some(violation) =
            order_violation(index, self.last.as_ref(), &batch.slice(0, sound), first_row)?
        {
            return Ok(Err(violation));
        }
        if let Some(violation) = null {
            return Ok(Err(violation));
        }
        self.last = Some(one_row(batch, batch.num_rows() - 1, index)?);
        Ok(Ok(()))
    }
}

/// A copy of one row's index columns.
fn one_row(batch: &RecordBatch, row: usize, index: &Index) -> Result<RecordBatch, ArrowError> {
    let at = UInt64Array::from(vec![row as u64]);
    let columns: Vec<usize> = index.columns().collect();
    let arrays = columns.iter().map(|it| take(batch.column(*it), &at, None)).collect::<Result<_, _>>()?;
    RecordBatch::try_new(Arc::new(batch.schema_ref().project(&columns)?), arrays)
}

fn null_violation(index: &Index, batch: &RecordBatch, first_row: u64) -> Option<Violation> {
    let first_null = |position: usize| {
        let nulls = batch.column(position).logical_nulls().filter(|it| it.null_count() > 0)?;
        nulls.iter().position(|is_valid| !is_valid).map(|row| (row, position))
    };
    let (row, position) = index.columns().filter_map(first_null).min()?;
    Some(Violation {
        row: first_row + row as u64,
        column: batch.schema_ref().field(position).name().clone(),
        kind: ViolationKind::Null,
        value: index.text(batch, row),
        previous: String::new(),
    })
}

fn order_violation(
    index: &Index,
    last: Option<&RecordBatch>,
    batch: &RecordBatch,
    first_row: u64,
) -> Result<Option<Violation>, ArrowError> {
    if batch.num_rows() == 0 {
        return Ok(None);
    }
    let violation = |row: usize, ordering: Ordering, previous: String| Violation {
        row: first_row + row as u64,
        column: batch.schema_ref().field(index.time).name().clone(),
        kind: if ordering.is_eq() { ViolationKind::Duplicate } else { ViolationKind::Unsorted },
        value: index.text(batch, row),
        previous,
    };
    if let Some(last) = last {
        let columns: Vec<usize> = index.columns().collect();
        let here = batch.project(&columns)?;
        let packed = Index { time: 0, kind: index.kind, identifiers: (1..columns.len()).collect() };
        let ordering = packed.comparator(last, &here)?.compare(0, 0);
        if ordering.is_ge() {
            return Ok(Some(violation(0, ordering, packed.text(last, 0))));
        }
    }
    let times = index.kind.values(batch.column(index.time));
    let row = first_disorder(index, &times, batch)?;
    Ok(row.map(|(row, ordering)| violation(row, ordering, index.text(batch, row - 1))))
}

/// The first row that is not after the one before it, and how the two compare.
fn first_disorder(
    index: &Index,
    times: &[i64],
    batch: &RecordBatch,
) -> Result<Option<(usize, Ordering)>, ArrowError> {
    if is_strictly_rising(times) {
        return Ok(None);
    }
    // Several identifiers at one time: identifiers are compared only where times tie.
    if let [only] = index.identifiers[..] {
        let column = batch.column(only);
        if let Some(names) = column.as_string_opt::<i32>() {
            return Ok(disorder_by(times, |a, b| names.value(a).cmp(names.value(b))));
        }
    }
    let comparators = index.identifiers.iter().map(|it| {
        make_comparator(batch.column(*it).as_ref(), batch.column(*it).as_ref(), SortOptions::default())
    });
    let rest = RowComparator { columns: comparators.collect::<Result<_, _>>()? };
    Ok(disorder_by(times, |a, b| rest.compare(a, b)))
}

fn disorder_by(times: &[i64], ties: impl Fn(usize, usize) -> Ordering) -> Option<(usize, Ordering)> {
    (1..times.len()).find_map(|row| {
        let ordering = times[row - 1].cmp(&times[row]).then_with(|| ties(row - 1, row));
        ordering.is_ge().then_some((row, ordering))
    })
}

/// In chunks without early exit inside, which the compiler turns into vector compares.
fn is_strictly_rising(times: &[i64]) -> bool {
    const CHUNK: usize = 256;
    let pairs = times.len().saturating_sub(1);
    (0..pairs).step_by(CHUNK).all(|from| {
        let to = (from + CHUNK).min(pairs);
        times[from..to].iter().zip(&times[from + 1..=to]).fold(true, |rising, (a, b)| rising & (a < b))
    })
}
