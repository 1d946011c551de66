//! Casts a column to the type that is wanted, refusing what does not fit instead of making it null.

#![expect(clippy::wildcard_enum_match_arm, reason = "Arrow's types: only timestamps have zones")]

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, make_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type};

/// Why a column could not be cast.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// The first row whose value does not fit.
    Row(usize),
    /// The types have nothing to do with each other.
    Types,
}

pub(crate) fn convert(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, Unfit> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    let from = array.data_type();
    if is_text(from) && *to == DataType::Boolean {
        return text_to_boolean(array);
    }
    // Zones are labels, values are UTC: so casts happen without them and the label is put on at the end. (Arrow would
    // need a time zone database otherwise.)
    let plain = relabel(array, &without_zone(from));
    let result = cast(&plain, &without_zone(to))?;
    if from.is_floating() && to.is_integer() {
        check_whole(&plain, &result)?;
    }
    Ok(relabel(&result, to))
}

fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, Unfit> {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let result = cast_with_options(array, to, &options).map_err(|_unrelated| Unfit::Types)?;
    if result.logical_null_count() > array.logical_null_count() {
        let (before, after) = (array.logical_nulls(), result.logical_nulls());
        let is_valid =
            |nulls: &Option<arrow::buffer::NullBuffer>, row| nulls.as_ref().is_none_or(|it| it.is_valid(row));
        let row = (0..array.len()).find(|row| is_valid(&before, *row) && !is_valid(&after, *row));
        return Err(Unfit::Row(row.unwrap_or(0)));
    }
    Ok(result)
}

/// A float with a fraction is no integer, though Arrow would cut it.
fn check_whole(from: &ArrayRef, to: &ArrayRef) -> Result<(), Unfit> {
    let (from, to) = (cast(from, &DataType::Float64)?, cast(to, &DataType::Float64)?);
    let (from, to) = (from.as_primitive::<Float64Type>(), to.as_primitive::<Float64Type>());
    // NaN and infinities did not get here: they have no integer at all.
    let differs = |row: &usize| from.is_valid(*row) && (from.value(*row) - to.value(*row)).abs() > 0.0;
    (0..from.len()).find(differs).map_or(Ok(()), |row| Err(Unfit::Row(row)))
}

/// Only `true` and `false`: Arrow would also take `1`, `on`, `y`, which are as likely something else.
fn text_to_boolean(array: &ArrayRef) -> Result<ArrayRef, Unfit> {
    let text = arrow::compute::cast(array, &DataType::Utf8).map_err(|_unrelated| Unfit::Types)?;
    let text = text.as_string::<i32>();
    let mut values = Vec::with_capacity(text.len());
    for (row, value) in text.iter().enumerate() {
        values.push(match value {
            None => None,
            Some(value) if value.eq_ignore_ascii_case("true") => Some(true),
            Some(value) if value.eq_ignore_ascii_case("false") => Some(false),
            Some(_) => return Err(Unfit::Row(row)),
        });
    }
    Ok(Arc::new(BooleanArray::from(values)))
}

pub(crate) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn without_zone(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, None),
        other => other.clone(),
    }
}

/// The same integers under another timestamp type; anything else stays as it is.
fn relabel(array: &ArrayRef, to: &DataType) -> ArrayRef {
    let is_label =
        matches!((array.data_type(), to), (DataType::Timestamp(a, _), DataType::Timestamp(b, _)) if a == b);
    if !is_label || array.data_type() == to {
        return array.clone();
    }
    let data = array.to_data().into_builder().data_type(to.clone()).build();
    data.map_or_else(|_| array.clone(), make_array)
}
