//! One value as a person reads it in an error.

use arrow::array::Array;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::time::{TimeKind, text_of};

/// Longer values are cut: an error is read, not stored.
const CHARS_MAX: usize = 80;

pub(crate) fn value_text(array: &dyn Array, row: usize) -> String {
    if array.is_null(row) {
        return "null".into();
    }
    // Not through arrow's formatter, which without a time zone database knows no zone named `UTC`.
    if let Some(kind) = TimeKind::of(array.data_type()) {
        let text = text_of(kind.time(kind.values(&array.slice(row, 1))[0]));
        return text.strip_suffix("T00:00:00Z").map_or_else(|| text.clone(), str::to_owned);
    }
    let options = FormatOptions::new().with_display_error(true);
    let text = ArrayFormatter::try_new(array, &options)
        .map_or_else(|e| format!("<{e}>"), |formatter| formatter.value(row).to_string());
    if text.chars().count() <= CHARS_MAX {
        return text;
    }
    text.chars().take(CHARS_MAX).chain(['…']).collect()
}

/// A type as a pipeline would write it, in backticks.
pub(crate) fn type_text(data_type: &DataType) -> String {
    format!("`{}`", tidemill_plan::data_type_name(data_type))
}
