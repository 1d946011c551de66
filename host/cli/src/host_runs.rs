//! `tidemill runs` on a service.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tidemill_driver::RunRecord;
use tidemill_plan::{Code, Problem, Time};
use tidemill_server::wire::{
    AddLink, AddNote, LinkOnRun, NoteOnRun, RetryRun, Run, RunDetail, SingleProblem, StateOfRun,
};

use crate::args::{
    ExportArgs, ExportFormat, LinkArgs, NoteArgs, RetryArgs, RunsListArgs, RunsShowArgs, StateFilter,
};
use crate::client::Client;
use crate::complain::talk;
use crate::{Ending, host_run, quantity, runs, table_view, tokens};

/// Newest runs that are listed where nobody says how many.
const LISTED: usize = 50;

pub(crate) fn list(args: &RunsListArgs, client: &Client) -> anyhow::Result<Ending> {
    let mut query = Vec::new();
    query.extend(args.pipeline.clone().map(|it| ("pipeline", it)));
    if let Some(state) = args.state {
        query.push(("state", state_name(state)?.to_owned()));
    }
    if let Some(since) = &args.since {
        query.push(("since", since_time(since)?));
    }
    let limit = args.limit.unwrap_or(LISTED);
    let mut found: Vec<Run> = client.list(&["runs"], &query, Some(limit + 1))?;
    let is_more = found.len() > limit;
    found.truncate(limit);
    if args.json {
        table_view::print_json(&serde_json::to_value(&found)?)?;
    } else if found.is_empty() {
        talk!("there are no such runs");
    } else {
        let header = ["run", "pipeline", "state", "began", "took", "nodes", "by", "description"];
        table_view::print(&header, found.iter().map(row).collect())?;
    }
    if is_more {
        talk!("there are more: `--limit N` shows them");
    }
    Ok(Ending::Done)
}

fn row(it: &Run) -> Vec<String> {
    vec![
        it.id.clone(),
        format!("{}@{}", it.pipeline, it.version),
        word(it.state).to_owned(),
        it.began_at.as_deref().map(tokens::short_time).unwrap_or_default(),
        took(it).map(quantity::duration).unwrap_or_default(),
        counts(it),
        it.created_by.clone(),
        it.description.lines().next().unwrap_or_default().chars().take(60).collect(),
    ]
}

fn counts(it: &Run) -> String {
    let nodes = it.nodes;
    let all = [
        (nodes.succeeded, "done"),
        (nodes.running, "running"),
        (nodes.waiting, "waiting"),
        (nodes.failed, "failed"),
        (nodes.skipped, "skipped"),
        (nodes.cancelled, "cancelled"),
    ];
    let shown = all.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}"));
    shown.collect::<Vec<_>>().join(", ")
}

fn took(it: &Run) -> Option<Duration> {
    let at = |text: &Option<String>| Time::parse(text.as_deref()?).ok();
    let ns = at(&it.ended_at)?.0.saturating_sub(at(&it.began_at)?.0);
    Some(Duration::from_nanos(u64::try_from(ns).unwrap_or(0)))
}

pub(crate) fn word(state: StateOfRun) -> &'static str {
    match state {
        StateOfRun::Queued => "queued",
        StateOfRun::Running => "running",
        StateOfRun::Paused => "paused",
        StateOfRun::Succeeded => "succeeded",
        StateOfRun::Failed => "failed",
        StateOfRun::Cancelled => "cancelled",
    }
}

fn state_name(state: StateFilter) -> Result<&'static str, Problem> {
    Ok(match state {
        StateFilter::Queued => "queued",
        StateFilter::Running => "running",
        StateFilter::Paused => "paused",
        StateFilter::Succeeded => "succeeded",
        StateFilter::Failed => "failed",
        StateFilter::Cancelled => "cancelled",
        StateFilter::Lost => {
            let what = "runs of a service are never lost: another process takes them over";
            return Err(Problem::new(Code("local-only-flag"), what, "ask for another `--state`"));
        }
    })
}

/// An age before now, or a time.
pub(crate) fn since_time(text: &str) -> Result<String, Problem> {
    if let Ok(time) = Time::parse(text) {
        return Ok(time.to_string());
    }
    let age = quantity::parse_age("--since", text)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = i64::try_from(now.saturating_sub(age).as_nanos()).unwrap_or(i64::MAX);
    Ok(Time(at).to_string())
}

pub(crate) fn show(args: &RunsShowArgs, client: &Client) -> anyhow::Result<Ending> {
    let found: RunDetail = client.get(&["runs", &args.run])?;
    if args.json {
        table_view::print_json(&serde_json::to_value(&found)?)?;
        return Ok(Ending::Done);
    }
    let run = &found.run;
    let mut rows = vec![
        vec!["run".to_owned(), run.id.clone()],
        vec!["pipeline".to_owned(), format!("{}@{}", run.pipeline, run.version)],
        vec!["state".to_owned(), format!("{}: {}", word(run.state), counts(run))],
        vec![
            "asked for".to_owned(),
            format!("{} by {}", tokens::short_time(&run.created_at), run.created_by),
        ],
    ];
    let mut add = |name: &str, value: Option<String>| {
        rows.extend(value.filter(|it| !it.is_empty()).map(|it| vec![name.to_owned(), it]));
    };
    add("began", run.began_at.as_deref().map(tokens::short_time));
    add("ended", run.ended_at.as_deref().map(tokens::short_time));
    add("took", took(run).map(quantity::duration));
    add("description", Some(run.description.clone()));
    let labels = run.labels.iter().map(|(name, value)| format!("{name}={value}"));
    add("labels", Some(labels.collect::<Vec<_>>().join(" ")));
    add("host", run.host.clone());
    table_view::print_plain(rows)?;
    if let Some(record) = found.record {
        let record: RunRecord = serde_json::from_value(record)?;
        runs::print_record(&record)?;
    }
    for (node, it) in &found.troubles {
        let wait = format!("node `{node}` waits, and goes on by itself when this is mended:");
        print_problem(&[wait], it)?;
    }
    for it in &run.problems {
        print_problem(&[], it)?;
    }
    print_notes(&found.notes)?;
    print_links(&found.links)?;
    Ok(Ending::Done)
}

fn print_problem(before: &[String], it: &SingleProblem) -> anyhow::Result<()> {
    let mend = it.detail.as_ref().map(|it| format!("  to mend: {it}"));
    let error = format!("error[{}]: {}", it.code, it.title);
    let lines = std::iter::once(String::new()).chain(before.iter().cloned()).chain([error]).chain(mend);
    table_view::print_lines(&lines.collect::<Vec<_>>())
}

fn print_notes(notes: &[NoteOnRun]) -> anyhow::Result<()> {
    if notes.is_empty() {
        return Ok(());
    }
    let row = |it: &NoteOnRun| vec![tokens::short_time(&it.at), it.who.clone(), it.text.clone()];
    table_view::print_after(&["noted", "by", "note"], notes.iter().map(row).collect())
}

fn print_links(links: &[LinkOnRun]) -> anyhow::Result<()> {
    if links.is_empty() {
        return Ok(());
    }
    let row =
        |it: &LinkOnRun| vec![tokens::short_time(&it.at), it.who.clone(), it.title.clone(), it.url.clone()];
    table_view::print_after(&["linked", "by", "title", "link"], links.iter().map(row).collect())
}

/// Cancel, pause or resume.
pub(crate) fn act(client: &Client, run: &str, action: &str) -> anyhow::Result<Ending> {
    let run: Run = client.post(&["runs", run, action], &json!({}))?;
    talk!("run {}: {}", run.id, word(run.state));
    Ok(Ending::Done)
}

pub(crate) fn retry(args: &RetryArgs, client: &Client) -> anyhow::Result<Ending> {
    let request = RetryRun { from_node: args.from_node.clone(), force: args.force };
    let begun: Run = client.post(&["runs", &args.run, "retry"], &request)?;
    host_run::tell(client, &begun, args.wait, host_run::Follow::Quietly, false)
}

pub(crate) fn note(args: &NoteArgs, client: &Client) -> anyhow::Result<Ending> {
    let text = match &args.text {
        Some(text) => text.clone(),
        None => {
            if std::io::stdin().is_terminal() {
                talk!("type the note; an empty line with Ctrl-D ends it");
            }
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text.trim_end().to_owned()
        }
    };
    let note: NoteOnRun = client.post(&["runs", &args.run, "notes"], &AddNote { text })?;
    talk!("noted on run {} by {}", args.run, note.who);
    Ok(Ending::Done)
}

pub(crate) fn link(args: &LinkArgs, client: &Client) -> anyhow::Result<Ending> {
    let asked = AddLink { url: args.url.clone(), title: args.title.clone().unwrap_or_default() };
    let link: LinkOnRun = client.post(&["runs", &args.run, "links"], &asked)?;
    talk!("linked run {} to {} by {}", args.run, link.url, link.who);
    Ok(Ending::Done)
}

/// Runs as rows: what they were told, what they measured, what was said of them.
pub(crate) fn export(args: &ExportArgs, client: &Client) -> anyhow::Result<Ending> {
    let mut details: Vec<RunDetail> = Vec::new();
    if args.runs.is_empty() {
        let mut query = Vec::new();
        query.extend(args.pipeline.clone().map(|it| ("pipeline", it)));
        if let Some(since) = &args.since {
            query.push(("since", since_time(since)?));
        }
        for it in client.list::<Run>(&["runs"], &query, None)? {
            details.push(client.get(&["runs", &it.id])?);
        }
    } else {
        for it in &args.runs {
            details.push(client.get(&["runs", it])?);
        }
    }
    let ending = args.output.as_ref().and_then(|it| it.extension()).and_then(|it| it.to_str());
    let format = args.format.unwrap_or(match ending {
        Some("csv") => ExportFormat::Csv,
        Some("parquet") => ExportFormat::Parquet,
        Some(_) | None => ExportFormat::Json,
    });
    let bytes = match format {
        ExportFormat::Json => serde_json::to_vec_pretty(&details)?,
        ExportFormat::Csv => export_table(&details, tidemill_lake::ExportFormat::Csv)?,
        ExportFormat::Parquet => export_table(&details, tidemill_lake::ExportFormat::Parquet)?,
    };
    write(args, &bytes)?;
    Ok(Ending::Done)
}

fn write(args: &ExportArgs, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    match &args.output {
        Some(path) => {
            std::fs::write(path, bytes).map_err(|e| {
                let what = format!("`{}` cannot be written: {e}", path.display());
                Problem::new(Code("output-not-writable"), what, "name a file in a folder that can be written")
            })?;
        }
        None => std::io::stdout().lock().write_all(bytes)?,
    }
    Ok(())
}

/// One row for each run, one column for each parameter, metric and artefact that any of them has.
fn export_table(details: &[RunDetail], format: tidemill_lake::ExportFormat) -> anyhow::Result<Vec<u8>> {
    let flat: Vec<BTreeMap<String, Value>> = details.iter().map(flat).collect::<anyhow::Result<_>>()?;
    Ok(crate::export_runs::table(&flat, format)?)
}

fn flat(detail: &RunDetail) -> anyhow::Result<BTreeMap<String, Value>> {
    let run = &detail.run;
    let notes: Vec<String> = detail.notes.iter().map(|it| format!("{}: {}", it.who, it.text)).collect();
    let link = |it: &LinkOnRun| match it.title.as_str() {
        "" => it.url.clone(),
        title => format!("{title}: {}", it.url),
    };
    let links: Vec<String> = detail.links.iter().map(link).collect();
    let mut cells = BTreeMap::from([
        ("run".to_owned(), json!(run.id)),
        ("pipeline".to_owned(), json!(run.pipeline)),
        ("version".to_owned(), json!(run.version)),
        ("state".to_owned(), json!(word(run.state))),
        ("created_at".to_owned(), json!(run.created_at)),
        ("created_by".to_owned(), json!(run.created_by)),
        ("began_at".to_owned(), json!(run.began_at)),
        ("ended_at".to_owned(), json!(run.ended_at)),
        ("description".to_owned(), json!(run.description)),
        ("notes".to_owned(), json!(notes.join("\n"))),
        ("links".to_owned(), json!(links.join("\n"))),
    ]);
    cells.extend(run.labels.iter().map(|(name, value)| (format!("label.{name}"), json!(value))));
    // What failed attempts left is no result.
    let results = detail.artefacts.iter().filter(|it| it.failed_attempt.is_none());
    cells.extend(results.map(|it| (format!("artefact.{}.{}", it.node, it.name), json!(it.digest))));
    if let Some(record) = &detail.record {
        let record: RunRecord = serde_json::from_value(record.clone())?;
        cells.extend(record.parameters.into_iter().map(|(name, it)| (format!("parameter.{name}"), it.value)));
        for node in record.nodes {
            let metrics = node.metrics.into_iter();
            cells.extend(metrics.map(|(name, value)| (format!("metric.{}.{name}", node.node), value)));
        }
    }
    Ok(cells)
}
