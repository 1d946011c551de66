//! The rows of a sweep: as they are kept, as a table, and the best of them.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_lake::ExportFormat;
use tidemill_plan::Goal;

use super::{SweepRecord, journal, sweep_folder};
use crate::failure::DriverError;
use crate::record::RunId;

const FILE: &str = "results.parquet";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PointState {
    Computed,
    /// Measured by an earlier sweep.
    Cached,
    Failed,
}

impl PointState {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Computed => "computed",
            Self::Cached => "cached",
            Self::Failed => "failed",
        }
    }
}

/// A point that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointRow {
    pub point: usize,
    pub key: String,
    /// In the order of the axes.
    pub values: Vec<Value>,
    /// In the order of the measures; `None` where there was nothing to measure.
    #[serde(with = "numbers")]
    pub measures: Vec<Option<f64>>,
    pub state: PointState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Of the nodes that no other point needs (microseconds).
    pub own_us: u64,
    /// Names of the measured tables, in the order of `SweepRecord::tables`.
    pub tables: Vec<String>,
    /// Their snapshots.
    #[serde(default)]
    pub snapshots: Vec<String>,
}

/// A number as JSON has it; one that is not finite as text, which JSON has no numbers for.
#[must_use]
pub fn number_json(value: Option<f64>) -> Value {
    match value {
        Some(it) => {
            serde_json::Number::from_f64(it).map_or_else(|| Value::String(it.to_string()), Value::Number)
        }
        None => Value::Null,
    }
}

mod numbers {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use serde_json::Value;

    #[expect(clippy::ptr_arg, reason = "as serde calls it")]
    pub(super) fn serialize<S: Serializer>(values: &Vec<Option<f64>>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(|it| super::number_json(*it)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Option<f64>>, D::Error> {
        let values = Vec::<Value>::deserialize(from)?;
        Ok(values.iter().map(|it| it.as_f64().or_else(|| it.as_str()?.parse().ok())).collect())
    }
}

/// Columns that every sweep's results have; no measure may be called so.
pub const RESULT_COLUMNS: [&str; 3] = ["state", "error", "duration_ms"];

/// The rows as a table: a column for each axis, each other parameter and each measure, then `state`, `error`,
/// `duration_ms`, and the names of the measured tables. A parameter that is called as one of these is prefixed by
/// `parameter_`.
#[must_use]
pub fn results_batch(record: &SweepRecord, rows: &[PointRow]) -> RecordBatch {
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for (at, axis) in record.axes.iter().enumerate() {
        let values = rows.iter().map(|it| it.values.get(at).unwrap_or(&Value::Null));
        let column: ArrayRef = match axis.kind.as_str() {
            "integer" => Arc::new(values.map(Value::as_i64).collect::<Int64Array>()),
            "number" => Arc::new(values.map(Value::as_f64).collect::<Float64Array>()),
            "boolean" => Arc::new(values.map(Value::as_bool).collect::<BooleanArray>()),
            _ => Arc::new(values.map(|it| Some(text(it))).collect::<StringArray>()),
        };
        columns.push((parameter_column(&axis.name), column));
    }
    for (name, value) in &record.parameters {
        columns.push((parameter_column(name), repeated(value, rows.len())));
    }
    for (at, measure) in record.measures.iter().enumerate() {
        let values: Float64Array = rows.iter().map(|it| it.measures.get(at).copied().flatten()).collect();
        columns.push((measure.name.clone(), Arc::new(values)));
    }
    let states: StringArray = rows.iter().map(|it| Some(it.state.name())).collect();
    let errors: StringArray = rows.iter().map(|it| it.error.as_deref()).collect();
    let durations: Float64Array = rows.iter().map(|it| Some(it.own_us as f64 / 1e3)).collect();
    let arrays: [ArrayRef; 3] = [Arc::new(states), Arc::new(errors), Arc::new(durations)];
    columns.extend(RESULT_COLUMNS.map(str::to_owned).into_iter().zip(arrays));
    for (at, table) in record.tables.iter().enumerate() {
        let names: StringArray = rows.iter().map(|it| it.tables.get(at).map(String::as_str)).collect();
        columns.push((format!("table_{table}"), Arc::new(names)));
    }
    let fields: Vec<Field> =
        columns.iter().map(|(name, it)| Field::new(name, it.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, it)| it).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns of one length")
}

fn parameter_column(name: &str) -> String {
    let is_taken = RESULT_COLUMNS.contains(&name) || name.starts_with("table_");
    if is_taken { format!("parameter_{name}") } else { name.to_owned() }
}

fn repeated(value: &Value, rows: usize) -> ArrayRef {
    let none = || std::iter::repeat_n((), rows);
    match value {
        Value::Number(it) if it.is_i64() => Arc::new(none().map(|()| it.as_i64()).collect::<Int64Array>()),
        Value::Number(it) => Arc::new(none().map(|()| it.as_f64()).collect::<Float64Array>()),
        Value::Bool(it) => Arc::new(none().map(|()| Some(*it)).collect::<BooleanArray>()),
        Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            Arc::new(none().map(|()| Some(text(value))).collect::<StringArray>())
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Writes `results.parquet`, whole or not at all.
pub(super) fn save(folder: &Path, record: &SweepRecord, rows: &[PointRow]) -> Result<(), DriverError> {
    let (path, partial) = (folder.join(FILE), folder.join("results.parquet.partial"));
    let failed = |source: std::io::Error| DriverError::File {
        action: "write",
        path: path.display().to_string(),
        source,
    };
    let batch = results_batch(record, rows);
    let schema = batch.schema();
    let write = || {
        let mut out = BufWriter::new(File::create(&partial)?);
        tidemill_lake::export([Ok(batch)].into_iter(), &schema, ExportFormat::Parquet, &mut out)
            .map_err(std::io::Error::other)?;
        out.flush()?;
        std::fs::rename(&partial, &path)
    };
    write().map_err(|e| {
        drop(std::fs::remove_file(&partial));
        failed(e)
    })
}

/// The best points first; those without the measure are left out.
#[must_use]
pub fn best<'r>(record: &SweepRecord, rows: &'r [PointRow], goal: &Goal) -> Vec<&'r PointRow> {
    let Some(at) = record.measures.iter().position(|it| it.name == goal.measure()) else { return Vec::new() };
    let measured = |it: &PointRow| it.measures.get(at).copied().flatten().filter(|it| !it.is_nan());
    let mut ranked: Vec<(&PointRow, f64)> = rows.iter().filter_map(|it| Some((it, measured(it)?))).collect();
    let order = |a: f64, b: f64| a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    // Stable: of equal points the first stays first.
    match goal {
        Goal::Minimize(_) => ranked.sort_by(|a, b| order(a.1, b.1)),
        Goal::Maximize(_) => ranked.sort_by(|a, b| order(b.1, a.1)),
    }
    ranked.into_iter().map(|(it, _)| it).collect()
}

/// The sweeps of a lake, oldest first.
///
/// # Errors
/// When their folder cannot be read; a lake without sweeps has none.
pub fn list_sweeps(lake: &Path) -> Result<Vec<RunId>, DriverError> {
    crate::record::list_records(&lake.join("sweeps"), "sweep.json")
}

/// The sweep that is meant by an id, the beginning of one, or `last`.
///
/// # Errors
/// When no sweep or several are meant.
pub fn find_sweep(lake: &Path, text: &str) -> Result<RunId, DriverError> {
    crate::record::find(list_sweeps(lake)?, text, |newest| DriverError::UnknownSweep {
        sweep: text.to_owned(),
        newest,
    })
}

/// A sweep's record and the rows of its points that have ended, in the order of the points; also of a sweep that runs
/// or was killed.
///
/// # Errors
/// When the record cannot be read.
pub fn load_rows(lake: &Path, sweep: &RunId) -> Result<(SweepRecord, Vec<PointRow>), DriverError> {
    let folder = sweep_folder(lake, sweep);
    let mut record = SweepRecord::load(&folder)?;
    let mut rows = journal::read(&folder);
    rows.sort_by_key(|it| it.point);
    if record.ended_at.is_none() {
        let state = record.state;
        record.end(state, &rows);
        record.state = state;
        record.ended_at = None;
    }
    Ok((record, rows))
}

/// Removes a sweep's record and results; its tables stay.
///
/// # Errors
/// When a file cannot be removed.
pub fn remove_sweep(lake: &Path, sweep: &RunId) -> Result<(), DriverError> {
    let folder = sweep_folder(lake, sweep);
    std::fs::remove_dir_all(&folder).map_err(|e| crate::record::file_error("remove", &folder, e))
}
