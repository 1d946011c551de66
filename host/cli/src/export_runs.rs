//! Rows of named values as one table: numbers stay numbers where a column has nothing else, all the rest is text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use serde_json::Value;
use tidemill_lake::{ExportError, ExportFormat, export};

/// Columns that come first; the others follow by name.
const FIRST: [&str; 11] = [
    "run",
    "pipeline",
    "version",
    "state",
    "created_at",
    "created_by",
    "began_at",
    "ended_at",
    "description",
    "notes",
    "links",
];

pub(crate) fn table(rows: &[BTreeMap<String, Value>], format: ExportFormat) -> Result<Vec<u8>, ExportError> {
    let known: BTreeSet<&String> = rows.iter().flat_map(BTreeMap::keys).collect();
    let others = known.iter().map(|it| it.as_str()).filter(|it| !FIRST.contains(it));
    let columns = FIRST.into_iter().chain(others).map(|name| (name, column(name, rows)));
    let batch = RecordBatch::try_from_iter(columns).expect("all columns have a value for each row");
    let mut bytes = Vec::new();
    let schema = batch.schema();
    export([Ok(batch)].into_iter(), &schema, format, &mut bytes)?;
    Ok(bytes)
}

fn column(name: &str, rows: &[BTreeMap<String, Value>]) -> ArrayRef {
    let cells = || rows.iter().map(|it| it.get(name).filter(|it| !it.is_null()));
    let is_all =
        |is_it: fn(&Value) -> bool| cells().flatten().all(is_it) && cells().flatten().next().is_some();
    if is_all(Value::is_i64) {
        return Arc::new(cells().map(|it| it.and_then(Value::as_i64)).collect::<Int64Array>());
    }
    if is_all(Value::is_number) {
        return Arc::new(cells().map(|it| it.and_then(Value::as_f64)).collect::<Float64Array>());
    }
    let text = |it: &Value| it.as_str().map_or_else(|| it.to_string(), str::to_owned);
    Arc::new(cells().map(|it| it.map(text)).collect::<StringArray>())
}
