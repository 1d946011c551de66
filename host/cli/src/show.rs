//! `tidemill show`: prints or exports a table.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use tidemill_driver::{RunId, RunRecord, list_runs};
use tidemill_lake::{
    Excerpt, ExportFormat, Exporter, Manifest, ReadOptions, TableEntry, WhichRows, WindowFolder,
};
use tidemill_plan::{Code, Problem};

use crate::args::{Format, ShowArgs};
use crate::{Ending, host_tables, lake_dir, place, quantity, table_view, tables};

const ROWS_SHOWN: usize = 20;

/// Rows to print or export, as they come.
pub(crate) struct Shown {
    pub(crate) schema: SchemaRef,
    /// Of the whole table, where that is known.
    pub(crate) rows: Option<u64>,
    pub(crate) batches: Box<dyn Iterator<Item = anyhow::Result<RecordBatch>>>,
}

pub(crate) fn show(args: &ShowArgs, host: Option<&str>) -> anyhow::Result<Ending> {
    let shown = match place::service(&args.lake, host)? {
        Some(client) => host_tables::rows(args, &client)?,
        None => of_lake(args)?,
    };
    match format_of(args.format, args.output.as_deref())? {
        Format::Table => print(args, shown)?,
        Format::Csv => write(args, shown, ExportFormat::Csv)?,
        Format::Json => write(args, shown, ExportFormat::JsonLines)?,
        Format::Parquet => write(args, shown, ExportFormat::Parquet)?,
        Format::Arrow => write(args, shown, ExportFormat::Arrow)?,
    }
    Ok(Ending::Done)
}

fn of_lake(args: &ShowArgs) -> anyhow::Result<Shown> {
    place::refuse_service_only(&[("--at", args.at.is_some())])?;
    let lake = lake_dir::open_to_read(&args.lake)?;
    let entries = lake.tables().map_err(|e| lake_dir::problem(&e))?;
    tables::require_match(&entries, &args.table)?;
    let manifest = choose(args, &entries)?;
    check_columns(args, manifest)?;
    let time =
        |flag: &str, it: &Option<String>| it.as_ref().map(|it| quantity::parse_time(flag, it)).transpose();
    let options = ReadOptions {
        columns: (!args.columns.is_empty()).then(|| args.columns.clone()),
        start: time("--start", &args.start)?,
        end: time("--end", &args.end)?,
        batch_rows_max: None,
    };
    let which = match rows_wanted(args)? {
        None => WhichRows::All,
        Some(rows) if args.tail => WhichRows::Last(rows),
        Some(rows) => WhichRows::First(rows),
    };
    let excerpt = Excerpt::open(&lake, manifest, options, which).map_err(|e| lake_dir::problem(&e))?;
    let (schema, rows) = (excerpt.schema(), Some(manifest.rows));
    let batches = excerpt.map(|it| it.map_err(|e| lake_dir::problem(&e).into()));
    Ok(Shown { schema, rows, batches: Box::new(batches) })
}

/// How many rows are to be shown; `None`: all.
pub(crate) fn rows_wanted(args: &ShowArgs) -> Result<Option<u64>, Problem> {
    let is_table = format_of(args.format, args.output.as_deref())? == Format::Table && args.output.is_none();
    Ok(args.rows.or(is_table.then_some(ROWS_SHOWN)).map(|it| it as u64))
}

/// Of several tables that are meant, the one that the newest run computed or reused; without such a run the one that was
/// written last. Says so.
fn choose<'a>(args: &ShowArgs, entries: &'a [TableEntry]) -> anyhow::Result<&'a Manifest> {
    let meant: Vec<&TableEntry> = entries.iter().filter(|it| tables::is_meant(&args.table, it)).collect();
    let mut readable: Vec<(&TableEntry, &Manifest)> =
        meant.iter().filter_map(|it| Some((*it, it.state.as_ref().ok()?))).collect();
    readable.sort_by_key(|(_, manifest)| std::cmp::Reverse(manifest.written_at));
    let of_run = if readable.len() > 1 { newest_run_with(args, &readable) } else { None };
    let (run, chosen) = of_run.unzip();
    let Some((entry, manifest)) = chosen.or(readable.first()) else {
        let error = meant.iter().find_map(|it| it.state.as_ref().err()).map(ToString::to_string);
        anyhow::bail!("{}", error.unwrap_or_else(|| "the table cannot be read".to_owned()));
    };
    if readable.len() > 1 {
        let of_run = run.map_or_else(|| "written last".to_owned(), |it| format!("of run {it}"));
        crate::complain::talk!(
            "`{}` means {} tables; this is the one {of_run}: {}/{}",
            args.table,
            readable.len(),
            entry.window,
            entry.name
        );
    }
    Ok(manifest)
}

/// How many runs are looked through.
const RUNS_MAX: usize = 100;

/// The newest run that has one of the tables, and the one of them that was written last; `tables` come newest first.
fn newest_run_with<'t, 'a>(
    args: &ShowArgs,
    tables: &'t [(&'a TableEntry, &'a Manifest)],
) -> Option<(RunId, &'t (&'a TableEntry, &'a Manifest))> {
    let runs = list_runs(args.lake.dir()).ok()?;
    let records = runs.iter().rev().take(RUNS_MAX).filter_map(|it| RunRecord::load(args.lake.dir(), it).ok());
    // A sweep has a table for every point, none of them more than another.
    records.filter(|it| !it.is_sweep).find_map(|record| {
        let has = |entry: &TableEntry| {
            let mut written = record.nodes.iter().flat_map(|it| &it.tables);
            entry.window == WindowFolder::of(&record.window) && written.any(|it| it.table == entry.name.0)
        };
        let found = tables.iter().find(|(entry, _)| has(entry))?;
        Some((record.run.clone(), found))
    })
}

fn check_columns(args: &ShowArgs, manifest: &Manifest) -> Result<(), Problem> {
    for column in &args.columns {
        if manifest.schema.field_with_name(column).is_err() {
            let names: Vec<&str> = manifest.schema.fields().iter().map(|it| it.name().as_str()).collect();
            let nearest = tidemill_plan::nearest(column, names.iter().copied());
            let all = names.join(", ");
            return Err(Problem::new(
                Code("unknown-column"),
                format!("table `{}` has no column `{column}`", manifest.table),
                nearest.map_or_else(
                    || format!("its columns are: {all}"),
                    |it| format!("did you mean `{it}`? its columns are: {all}"),
                ),
            ));
        }
    }
    Ok(())
}

pub(crate) fn format_of(format: Option<Format>, output: Option<&Path>) -> Result<Format, Problem> {
    let Some(output) = output else { return Ok(format.unwrap_or(Format::Table)) };
    let ending = output.extension().and_then(|it| it.to_str()).unwrap_or_default();
    let by_ending = match ending {
        "csv" => Some(Format::Csv),
        "json" | "jsonl" | "ndjson" => Some(Format::Json),
        "parquet" => Some(Format::Parquet),
        "arrow" | "feather" | "ipc" => Some(Format::Arrow),
        "txt" => Some(Format::Table),
        _ => None,
    };
    format.or(by_ending).ok_or_else(|| {
        Problem::new(
            Code("unknown-export-format"),
            format!("the ending of `{}` tells no format", output.display()),
            "name one with `--format` (table, csv, json, parquet, arrow)",
        )
    })
}

fn print(args: &ShowArgs, shown: Shown) -> anyhow::Result<()> {
    let Shown { schema, rows: rows_of_table, batches } = shown;
    let header: Vec<&str> = schema.fields().iter().map(|it| it.name().as_str()).collect();
    let options = FormatOptions::new().with_display_error(true);
    let mut rows = Vec::new();
    for batch in batches {
        let batch = tidemill_lake::with_plain_zones(&batch?);
        let columns = batch.columns().iter().map(|it| ArrayFormatter::try_new(it.as_ref(), &options));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|it| it.value(row).to_string()).collect::<Vec<_>>());
        }
    }
    let shown = rows.len() as u64;
    if let Some(path) = &args.output {
        let mut text = header.join("\t") + "\n";
        for row in rows {
            text.push_str(&(row.join("\t") + "\n"));
        }
        return into_file(path, |out| Ok(out.write_all(text.as_bytes())?));
    }
    table_view::print(&header, rows)?;
    if let Some(rows) = rows_of_table.filter(|it| shown < *it) {
        let (shown, all) = (quantity::count(shown), quantity::count(rows));
        crate::complain::talk!("{shown} of {all} rows; `--rows N`, `--tail` show others");
    }
    Ok(())
}

/// Exports to a file, whole or not at all, or to stdout.
fn write(args: &ShowArgs, shown: Shown, format: ExportFormat) -> anyhow::Result<()> {
    let Some(path) = &args.output else {
        let mut out = BufWriter::new(std::io::stdout());
        export(shown, format, &mut out)?;
        return Ok(out.flush()?);
    };
    into_file(path, |out| export(shown, format, out))
}

fn export(shown: Shown, format: ExportFormat, out: impl Write + Send) -> anyhow::Result<()> {
    let mut exporter = Exporter::new(&shown.schema, format, out)?;
    for batch in shown.batches {
        exporter.write(&batch?)?;
    }
    Ok(exporter.finish()?)
}

/// Fills a file beside its place and then puts it there. What is no plain file (a pipe, `/dev/stdout`) is written to as
/// it is, and a link keeps being one.
pub(crate) fn into_file(
    path: &Path,
    fill: impl FnOnce(&mut dyn Sink) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let place = std::fs::canonicalize(path).unwrap_or_else(|_not_there_yet| path.to_owned());
    if place.metadata().is_ok_and(|it| !it.is_file()) {
        let file = File::options().write(true).open(&place).map_err(|e| cannot_write(path, &e))?;
        return fill_file(file, path, fill);
    }
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(format!(".partial-{}", std::process::id()));
    let partial = place.with_file_name(name);
    let file = File::create(&partial).map_err(|e| cannot_write(path, &e))?;
    let result = fill_file(file, path, fill)
        .and_then(|()| Ok(std::fs::rename(&partial, &place).map_err(|e| cannot_write(path, &e))?));
    if result.is_err() {
        // Nothing half-written stays; that it could not be removed changes nothing about the error.
        drop(std::fs::remove_file(&partial));
    }
    result
}

/// Where an export goes.
pub(crate) trait Sink: Write + Send {}
impl<T: Write + Send> Sink for T {}

fn fill_file(
    file: File,
    path: &Path,
    fill: impl FnOnce(&mut dyn Sink) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut out = BufWriter::new(file);
    fill(&mut out)?;
    Ok(out.flush().map_err(|e| cannot_write(path, &e))?)
}

fn cannot_write(path: &Path, cause: &std::io::Error) -> Problem {
    Problem::new(
        Code("export-write"),
        format!("`{}` cannot be written: {cause}", path.display()),
        "name a file in a folder that exists and that you may write to",
    )
}
