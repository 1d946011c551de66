//! Checks one batch of a file: casts it, clips it to the window, refuses nulls and non-finite values.

#![expect(clippy::wildcard_enum_match_arm, reason = "Arrow's types: only floats can fail to be finite")]

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type};
use tidemill_plan::Time;

use super::SourceError;
use super::convert::{Unfit, convert};
use super::input::RawBatch;
use super::layout::{Column, Layout};
use crate::value::{type_text, value_text};

/// Where the rows of a batch stand in their file.
#[derive(Clone, Debug)]
pub(crate) enum FileRows {
    /// One after the other; the first one's row, from 0.
    From(u64),
    Each(Vec<u64>),
}

impl FileRows {
    /// From 1, as people count.
    pub(crate) fn in_file(&self, row: usize) -> u64 {
        1 + match self {
            Self::From(first) => first + row as u64,
            Self::Each(rows) => rows[row],
        }
    }
}

/// A batch that is right by itself; order is checked across batches.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) file: String,
    pub(crate) batch: RecordBatch,
    pub(crate) rows: FileRows,
}

impl Checked {
    pub(crate) fn unreadable(&self, cause: &arrow::error::ArrowError) -> SourceError {
        SourceError::unreadable(&self.file, cause)
    }
}

/// Times of rows to read: [start, end).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checker {
    pub(crate) start: Option<Time>,
    pub(crate) end: Option<Time>,
    /// First time at which a row that is to be read may not yet have been known.
    pub(crate) known_before: Option<Time>,
}

impl Checker {
    pub(crate) fn check(&self, layout: &Layout, file: &str, raw: RawBatch) -> Result<Checked, SourceError> {
        let (raw, rows) = self.clip(layout, file, raw)?;
        let mut arrays = Vec::with_capacity(layout.columns.len());
        for column in &layout.columns {
            let array = cast(column, file, &raw, &rows)?;
            check_values(column, file, &array, &rows)?;
            arrays.push(array);
        }
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(raw.num_rows()));
        let batch = RecordBatch::try_new_with_options(layout.schema.clone(), arrays, &options)
            .map_err(|e| SourceError::unreadable(file, e))?;
        Ok(Checked { file: file.to_owned(), batch, rows })
    }

    /// Leaves only rows of the window, before anything else is looked at but their time.
    fn clip(
        &self,
        layout: &Layout,
        file: &str,
        raw: RawBatch,
    ) -> Result<(RecordBatch, FileRows), SourceError> {
        let RawBatch { batch, first_row } = raw;
        let rows = FileRows::From(first_row);
        let by_index = layout.index.as_ref().map(|it| (it.time, it.kind, self.start, self.end));
        let by_knowledge = layout.knowledge.map(|(column, kind)| (column, kind, None, self.known_before));
        let mut wanted = BooleanBuffer::new_set(batch.num_rows());
        for (column, kind, start, end) in by_index.into_iter().chain(by_knowledge) {
            if start.is_none() && end.is_none() {
                continue;
            }
            let column = &layout.columns[column];
            let times = cast(column, file, &batch, &rows)?;
            refuse_null(column, file, &times, &rows)?;
            let bound = |it: Option<Time>| it.map(|it| kind.first_not_before(it));
            let (start, end) = (bound(start), bound(end));
            let is_wanted =
                |it: &i64| start.is_none_or(|start| start <= *it) && end.is_none_or(|end| *it < end);
            let within: BooleanBuffer = kind.values(&times).iter().map(is_wanted).collect();
            wanted = &wanted & &within;
        }
        if wanted.count_set_bits() == batch.num_rows() {
            return Ok((batch, rows));
        }
        let each = wanted.set_indices().map(|it| first_row + it as u64).collect();
        let wanted = BooleanArray::new(wanted, None);
        let batch = filter_record_batch(&batch, &wanted).map_err(|e| SourceError::unreadable(file, e))?;
        Ok((batch, FileRows::Each(each)))
    }
}

fn cast(column: &Column, file: &str, raw: &RecordBatch, rows: &FileRows) -> Result<ArrayRef, SourceError> {
    let array = raw.column_by_name(&column.name).ok_or_else(|| {
        let (file, column) = (file.to_owned(), column.name.clone());
        SourceError::ColumnMissing { file, column, nearest: None }
    })?;
    convert(array, &column.data_type).map_err(|unfit| {
        let (file, name, data_type) = (file.to_owned(), column.name.clone(), type_text(&column.data_type));
        match unfit {
            Unfit::Row(row) => {
                let (row, value) = (rows.in_file(row), value_text(array, row));
                SourceError::NotOfType { file, column: name, row, value, data_type }
            }
            Unfit::Types => {
                SourceError::TypeDiffers { file, column: name, from: type_text(array.data_type()), data_type }
            }
        }
    })
}

fn check_values(column: &Column, file: &str, array: &ArrayRef, rows: &FileRows) -> Result<(), SourceError> {
    if !column.nullable {
        refuse_null(column, file, array, rows)?;
    }
    if column.finite
        && let Some(row) = first_not_finite(array)
    {
        let (row, value) = (rows.in_file(row), value_text(array, row));
        return Err(SourceError::NotFinite {
            file: file.to_owned(),
            column: column.name.clone(),
            row,
            value,
        });
    }
    Ok(())
}

fn refuse_null(column: &Column, file: &str, array: &ArrayRef, rows: &FileRows) -> Result<(), SourceError> {
    let Some(nulls) = array.logical_nulls().filter(|it| it.null_count() > 0) else { return Ok(()) };
    let row = nulls.iter().position(|is_valid| !is_valid).unwrap_or(0);
    Err(SourceError::Null { file: file.to_owned(), column: column.name.clone(), row: rows.in_file(row) })
}

fn first_not_finite(array: &ArrayRef) -> Option<usize> {
    let is_at = |is_finite: &dyn Fn(usize) -> bool| {
        (0..array.len()).find(|it| array.is_valid(*it) && !is_finite(*it))
    };
    match array.data_type() {
        DataType::Float64 => {
            let array = array.as_primitive::<Float64Type>();
            is_at(&|it| array.value(it).is_finite())
        }
        DataType::Float32 => {
            let array = array.as_primitive::<Float32Type>();
            is_at(&|it| array.value(it).is_finite())
        }
        DataType::Float16 => {
            let array = array.as_primitive::<Float16Type>();
            is_at(&|it| array.value(it).to_f32().is_finite())
        }
        _ => None,
    }
}
