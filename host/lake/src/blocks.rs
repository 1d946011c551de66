//! Cuts a stream of batches into blocks: the unit that is one row group on disk and one batch in the cache.
//!
//! Where blocks end depends on the rows alone, never on how they came in batches, so that equal tables have equal
//! files and every reader sees the same cuts.

#![expect(clippy::wildcard_enum_match_arm, reason = "Arrow's types: all others are fixed in width")]

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;

use crate::digest::fixed_width;

/// At eight bytes a value this is 1 MiB a column: a read by time decodes at most two blocks it only partly needs, a
/// few milliseconds, while metadata stays below a thousandth of the data. Twice a reader's default batch.
pub(crate) const BLOCK_ROWS_MAX: usize = 131_072;
/// Wide rows end a block earlier: a writer holds one block, a reader another.
pub(crate) const BLOCK_BYTES_MAX: u64 = 32 << 20;

#[derive(Debug)]
pub(crate) struct Blocks {
    schema: SchemaRef,
    pending: Vec<RecordBatch>,
    rows: usize,
    bytes: u64,
}

impl Blocks {
    pub(crate) fn new(schema: SchemaRef) -> Self {
        Self { schema, pending: Vec::new(), rows: 0, bytes: 0 }
    }

    /// Takes a batch; returns the blocks that it filled.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<Vec<RecordBatch>, ArrowError> {
        let mut full = Vec::new();
        let mut from = 0;
        while from < batch.num_rows() {
            let room = (batch.num_rows() - from).min(BLOCK_ROWS_MAX - self.rows);
            let fits = rows_that_fit(batch, from, room, BLOCK_BYTES_MAX - self.bytes);
            // A row larger than a block is a block of its own.
            let taken = if fits == 0 && self.rows == 0 { 1 } else { fits };
            if taken > 0 {
                self.bytes = (self.bytes + bytes_of(batch, from, from + taken)).min(BLOCK_BYTES_MAX);
                self.rows += taken;
                self.pending.push(batch.slice(from, taken));
                from += taken;
            }
            if taken == 0 || self.rows == BLOCK_ROWS_MAX {
                full.extend(self.take()?);
            }
        }
        Ok(full)
    }

    /// What is left.
    pub(crate) fn take(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let pending = std::mem::take(&mut self.pending);
        (self.rows, self.bytes) = (0, 0);
        match &pending[..] {
            [] => Ok(None),
            [only] => Ok(Some(only.clone())),
            several => concat_batches(&self.schema, several).map(Some),
        }
    }
}

fn rows_that_fit(batch: &RecordBatch, from: usize, rows_max: usize, bytes_max: u64) -> usize {
    if bytes_of(batch, from, from + rows_max) <= bytes_max {
        return rows_max;
    }
    // The largest count that fits lies in [low, high).
    let (mut low, mut high) = (0, rows_max);
    while low + 1 < high {
        let middle = usize::midpoint(low, high);
        if bytes_of(batch, from, from + middle) <= bytes_max {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The bytes that rows [from, to) need when decoded: a sum over rows, so that it does not depend on batches.
pub(crate) fn bytes_of(batch: &RecordBatch, from: usize, to: usize) -> u64 {
    batch.columns().iter().map(|it| bytes_in(it, from, to)).sum()
}

fn bytes_in(array: &ArrayRef, from: usize, to: usize) -> u64 {
    let rows = (to - from) as u64;
    match array.data_type() {
        DataType::Utf8 => 4 * rows + span(array.as_string::<i32>().value_offsets(), from, to),
        DataType::Binary => 4 * rows + span(array.as_binary::<i32>().value_offsets(), from, to),
        DataType::LargeUtf8 => 8 * rows + span(array.as_string::<i64>().value_offsets(), from, to),
        DataType::LargeBinary => 8 * rows + span(array.as_binary::<i64>().value_offsets(), from, to),
        DataType::Utf8View => views(array.as_string_view().views(), from, to),
        DataType::BinaryView => views(array.as_binary_view().views(), from, to),
        DataType::Struct(_) => array.as_struct().columns().iter().map(|it| bytes_in(it, from, to)).sum(),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offsets = list.value_offsets();
            4 * rows + bytes_in(list.values(), offsets[from] as usize, offsets[to] as usize)
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let offsets = list.value_offsets();
            8 * rows + bytes_in(list.values(), offsets[from] as usize, offsets[to] as usize)
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let (first, last) = (map.value_offsets()[from] as usize, map.value_offsets()[to] as usize);
            4 * rows + map.entries().columns().iter().map(|it| bytes_in(it, first, last)).sum::<u64>()
        }
        DataType::FixedSizeList(_, size) => {
            let size = usize::try_from(*size).unwrap_or(0);
            bytes_in(array.as_fixed_size_list().values(), from * size, to * size)
        }
        DataType::Dictionary(keys, _) => rows * keys.primitive_width().unwrap_or(8) as u64,
        other => rows * fixed_width(other).unwrap_or(1) as u64,
    }
}

fn span<O: Copy + Into<i64>>(offsets: &[O], from: usize, to: usize) -> u64 {
    (offsets[to].into() - offsets[from].into()).unsigned_abs()
}

/// A view's low 32 bits are its value's length.
fn views(views: &[u128], from: usize, to: usize) -> u64 {
    views[from..to].iter().map(|it| 16 + u64::from(*it as u32)).sum()
}
