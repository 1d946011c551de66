//! Earlier sweeps: listed, printed, exported, compared; and what is written of the best point.

use std::io::Write as _;
use std::path::Path;

use arrow::array::RecordBatch;
use serde_json::{Map, Value, json};
use tidemill_driver::{
    PointRow, SweepRecord, find_sweep, list_sweeps, load_rows, number_json, results_batch,
};
use tidemill_lake::ExportFormat;
use tidemill_plan::{Code, Goal, Problem, Time};

use crate::args::{Format, LakeArg};
use crate::complain::talk;
use crate::{Ending, lake_dir, quantity, show, table_view};

const ROWS_SHOWN: usize = 20;

/// How results are printed.
pub(crate) struct Shown<'a> {
    pub(crate) rows: Option<usize>,
    pub(crate) format: Option<Format>,
    pub(crate) output: Option<&'a Path>,
}

pub(crate) fn load(lake: &LakeArg, sweep: &str) -> anyhow::Result<(SweepRecord, Vec<PointRow>)> {
    lake_dir::require(lake.dir())?;
    let id = find_sweep(lake.dir(), sweep).map_err(|e| e.problem())?;
    Ok(load_rows(lake.dir(), &id).map_err(|e| e.problem())?)
}

pub(crate) fn list(lake: &LakeArg, is_json: bool) -> anyhow::Result<Ending> {
    lake_dir::require(lake.dir())?;
    let mut records = Vec::new();
    for id in list_sweeps(lake.dir()).map_err(|e| e.problem())?.iter().rev() {
        match load_rows(lake.dir(), id) {
            Ok((record, _)) => records.push(record),
            Err(error) => talk!("{}", error.problem()),
        }
    }
    if is_json {
        table_view::print_json(&json!(records))?;
        return Ok(Ending::Done);
    }
    let rows = records.iter().map(|it| {
        let axes: Vec<&str> = it.axes.iter().map(|it| it.name.as_str()).collect();
        let measures: Vec<&str> = it.measures.iter().map(|it| it.name.as_str()).collect();
        vec![
            it.sweep.0.clone(),
            it.pipeline.clone(),
            state(it),
            quantity::count(it.counts.points),
            quantity::count(it.counts.failed),
            axes.join(" × "),
            measures.join(", "),
        ]
    });
    table_view::print(
        &["sweep", "pipeline", "state", "points", "failed", "axes", "measures"],
        rows.collect(),
    )?;
    Ok(Ending::Done)
}

/// `lost` where the process died before it could say how the sweep ended.
fn state(record: &SweepRecord) -> String {
    if record.is_lost() {
        return "lost".to_owned();
    }
    json!(record.state).as_str().unwrap_or_default().to_owned()
}

pub(crate) fn show(
    sweep: &str,
    lake: &LakeArg,
    shown: &Shown<'_>,
    report: Option<&Path>,
) -> anyhow::Result<Ending> {
    let (record, rows) = load(lake, sweep)?;
    if let Some(path) = report {
        write_report(path, &record, &rows)?;
        talk!("the report is `{}`", path.display());
        if shown.output.is_none() && shown.format.is_none() && shown.rows.is_none() {
            return Ok(Ending::Done);
        }
    }
    let format = match show::format_of(shown.format, shown.output)? {
        Format::Table => {
            let count = shown.rows.unwrap_or(ROWS_SHOWN).min(rows.len());
            let points: Vec<&PointRow> = rows[..count].iter().collect();
            print_points(&record, &points)?;
            say_state(&record);
            if count < rows.len() {
                let (count, all) = (quantity::count(count as u64), quantity::count(rows.len() as u64));
                talk!("{count} of {all} points; `--rows N` shows others");
            }
            return Ok(Ending::Done);
        }
        Format::Csv => ExportFormat::Csv,
        Format::Json => ExportFormat::JsonLines,
        Format::Parquet => ExportFormat::Parquet,
        Format::Arrow => ExportFormat::Arrow,
    };
    let batch = results_batch(&record, &rows[..shown.rows.unwrap_or(rows.len()).min(rows.len())]);
    export(&batch, format, shown.output)?;
    Ok(Ending::Done)
}

/// Of a sweep that did not come to its end.
fn say_state(record: &SweepRecord) {
    let counts = &record.counts;
    if 0 < counts.cancelled {
        talk!(
            "{}: {} of {} points were not reached; the same command goes on with them: {}",
            state(record),
            quantity::count(counts.cancelled),
            quantity::count(counts.points),
            record.command
        );
    }
}

fn export(batch: &RecordBatch, format: ExportFormat, output: Option<&Path>) -> anyhow::Result<()> {
    let batches = || [Ok(batch.clone())].into_iter();
    match output {
        Some(path) => show::into_file(path, |out| {
            Ok(tidemill_lake::export(batches(), &batch.schema(), format, out).map(drop)?)
        }),
        None => {
            let mut out = std::io::BufWriter::new(std::io::stdout());
            tidemill_lake::export(batches(), &batch.schema(), format, &mut out)?;
            Ok(out.flush()?)
        }
    }
}

pub(crate) fn best(
    sweep: &str,
    lake: &LakeArg,
    goal: Option<Goal>,
    count: usize,
    best_to: Option<&Path>,
    is_json: bool,
) -> anyhow::Result<Ending> {
    let (record, rows) = load(lake, sweep)?;
    let Some(goal) = goal.or_else(|| record.goal()) else {
        let mend = "add `--minimize MEASURE` or `--maximize MEASURE`";
        return Err(Problem::new(Code("no-goal"), "nothing says which point is best", mend).into());
    };
    if !record.measures.iter().any(|it| it.name == goal.measure()) {
        let names = record.measures.iter().map(|it| it.name.as_str());
        let mend = tidemill_plan::nearest(goal.measure(), names)
            .map_or_else(|| "measure it in a sweep first".to_owned(), |it| format!("did you mean `{it}`?"));
        let what = format!("sweep `{}` has no measure `{}`", record.sweep, goal.measure());
        return Err(Problem::new(Code("unknown-measure"), what, mend).into());
    }
    let best = tidemill_driver::best(&record, &rows, &goal);
    if let Some(path) = best_to {
        write_best(path, &record, &goal, best.first().copied())?;
    }
    let shown = &best[..best.len().min(count)];
    if is_json {
        let rows: Vec<Value> = shown.iter().map(|it| row_json(&record, it)).collect();
        table_view::print_json(&json!(rows))?;
    } else {
        print_points(&record, shown)?;
    }
    Ok(Ending::Done)
}

pub(crate) fn value_of(record: &SweepRecord, row: &PointRow, axis: &str) -> Value {
    let at = record.axes.iter().position(|it| it.name == axis);
    at.and_then(|it| row.values.get(it)).cloned().unwrap_or(Value::Null)
}

pub(crate) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(crate) fn measure_text(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |it| it.to_string())
}

/// Points as a table on stdout.
pub(crate) fn print_points(record: &SweepRecord, points: &[&PointRow]) -> anyhow::Result<()> {
    let names = record.axes.iter().map(|it| it.name.as_str());
    let mut header: Vec<&str> = names.chain(record.measures.iter().map(|it| it.name.as_str())).collect();
    header.extend(["state", "error"]);
    let has_errors = points.iter().any(|it| it.error.is_some());
    if !has_errors {
        header.pop();
    }
    let rows = points.iter().map(|row| {
        let mut cells: Vec<String> = row.values.iter().map(plain).collect();
        cells.extend(row.measures.iter().map(|it| measure_text(*it)));
        cells.push(row.state.name().to_owned());
        if has_errors {
            cells.push(row.error.clone().unwrap_or_default());
        }
        cells
    });
    table_view::print(&header, rows.collect())
}

/// `in_window=60, lasso_alpha=0.001`.
pub(crate) fn point_text(record: &SweepRecord, row: &PointRow) -> String {
    let pairs = record.axes.iter().zip(&row.values).map(|(axis, it)| format!("{}={}", axis.name, plain(it)));
    pairs.collect::<Vec<_>>().join(", ")
}

pub(crate) fn row_json(record: &SweepRecord, row: &PointRow) -> Value {
    let parameters: Map<String, Value> =
        record.axes.iter().zip(&row.values).map(|(axis, it)| (axis.name.clone(), it.clone())).collect();
    let measures: Map<String, Value> = record
        .measures
        .iter()
        .zip(&row.measures)
        .map(|(it, value)| (it.name.clone(), number_json(*value)))
        .collect();
    let tables: Map<String, Value> =
        record.tables.iter().zip(&row.tables).map(|(name, it)| (name.clone(), json!(it))).collect();
    json!({
        "point": row.point, "parameters": parameters, "measures": measures, "state": row.state,
        "error": row.error, "duration_ms": row.own_us as f64 / 1e3, "tables": tables,
    })
}

/// Writes what `tidemill run --params FILE` takes: TOML, or JSON where the file's name says so.
/// The parameters of the best point; an error where no point has the measure.
pub(crate) fn write_best(
    path: &Path,
    record: &SweepRecord,
    goal: &Goal,
    best: Option<&PointRow>,
) -> anyhow::Result<()> {
    let Some(best) = best else {
        let what = format!("no point of sweep `{}` has a `{}`", record.sweep, goal.measure());
        return Err(Problem::new(Code("no-best"), what, "look at the failures: `tidemill sweep show`").into());
    };
    write_parameters(path, record, best)
}

fn write_parameters(path: &Path, record: &SweepRecord, best: &PointRow) -> anyhow::Result<()> {
    let mut parameters: Map<String, Value> =
        record.parameters.iter().map(|(name, it)| (name.clone(), it.clone())).collect();
    parameters.extend(record.axes.iter().zip(&best.values).map(|(axis, it)| (axis.name.clone(), it.clone())));
    let text = if path.extension().is_some_and(|it| it == "json") {
        serde_json::to_string_pretty(&parameters)? + "\n"
    } else {
        let measures = record.measures.iter().zip(&best.measures);
        let measured: Vec<String> =
            measures.map(|(it, value)| format!("{} = {}", it.name, measure_text(*value))).collect();
        format!(
            "# The best point of sweep {} of pipeline {}: {}.\n{}",
            record.sweep,
            record.pipeline,
            measured.join(", "),
            toml::to_string(&parameters)?
        )
    };
    show::into_file(path, |out| Ok(out.write_all(text.as_bytes())?))
}

pub(crate) fn write_report(path: &Path, record: &SweepRecord, rows: &[PointRow]) -> anyhow::Result<()> {
    let html = crate::report::html(&report_data(record, rows));
    show::into_file(path, |out| Ok(out.write_all(html.as_bytes())?))
}

/// What the report shows.
fn report_data(record: &SweepRecord, rows: &[PointRow]) -> Value {
    let time = |it: Option<Time>| it.map(quantity::time);
    let elapsed_ns = record.ended_at.map(|it| it - record.began_at);
    let goal = record.goal().map(|it| {
        let direction = if matches!(it, Goal::Minimize(_)) { "minimize" } else { "maximize" };
        json!({"measure": it.measure(), "direction": direction})
    });
    let mut columns: Vec<&str> = record.axes.iter().map(|it| it.name.as_str()).collect();
    columns.extend(record.measures.iter().map(|it| it.name.as_str()));
    columns.extend(["state", "error", "duration_ms", "point"]);
    let points: Vec<Value> = rows
        .iter()
        .map(|row| {
            let mut cells = row.values.clone();
            cells.extend(row.measures.iter().map(|it| json!(it)));
            let own_ms = row.own_us as f64 / 1e3;
            cells.extend([json!(row.state), json!(row.error), json!(own_ms), json!(row.point)]);
            Value::Array(cells)
        })
        .collect();
    json!({
        "pipeline": record.pipeline,
        "summary": record.summary,
        "sweep": record.sweep,
        "began_at": quantity::time(Time(record.began_at)),
        "elapsed_s": elapsed_ns.map(|it| it as f64 / 1e9),
        "host_version": record.host_version,
        "file": record.file,
        "command": record.command,
        "window": {
            "start": time(record.window.start), "end": time(record.window.end), "as_of": time(record.window.as_of),
        },
        "axes": record.axes,
        "measures": record.measures,
        "goal": goal,
        "counts": record.counts,
        "shared": record.shared,
        "parameters": record.parameters,
        "components": record.components,
        "sources": record.sources,
        "columns": columns,
        "points": points,
    })
}
