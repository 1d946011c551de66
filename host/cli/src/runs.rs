//! `tidemill runs`: the runs of a lake, and all that is recorded of one.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tidemill_driver::{
    AttemptOutcome, NodeRecord, NodeState, RunId, RunRecord, RunState, find_run, list_runs,
};
use tidemill_plan::Time;

use crate::args::{RunsArgs, RunsListArgs, RunsShowArgs, RunsWhat, StateFilter};
use crate::client::require_host;
use crate::{Ending, artefacts, host_runs, lake_dir, place, quantity, table_view};

pub(crate) fn runs(args: &RunsArgs, host: Option<&str>) -> anyhow::Result<Ending> {
    match &args.what {
        Some(RunsWhat::Show(it)) => match place::service(&it.lake, host)? {
            Some(client) => host_runs::show(it, &client),
            None => show(it),
        },
        Some(RunsWhat::Artefacts(it)) => artefacts::artefacts(it, host),
        Some(RunsWhat::Cancel(it)) => host_runs::act(&require_host(host)?, &it.run, "cancel"),
        Some(RunsWhat::Pause(it)) => host_runs::act(&require_host(host)?, &it.run, "pause"),
        Some(RunsWhat::Resume(it)) => host_runs::act(&require_host(host)?, &it.run, "resume"),
        Some(RunsWhat::Retry(it)) => host_runs::retry(it, &require_host(host)?),
        Some(RunsWhat::Note(it)) => host_runs::note(it, &require_host(host)?),
        Some(RunsWhat::Link(it)) => host_runs::link(it, &require_host(host)?),
        Some(RunsWhat::Export(it)) => host_runs::export(it, &require_host(host)?),
        None => match place::service(&args.list.lake, host)? {
            Some(client) => host_runs::list(&args.list, &client),
            None => list(&args.list),
        },
    }
}

fn list(args: &RunsListArgs) -> anyhow::Result<Ending> {
    let lake = args.lake.dir();
    lake_dir::require(lake)?;
    let since = args.since.as_deref().map(host_runs::since_time).transpose()?;
    let since = since.and_then(|it| Time::parse(&it).ok());
    let mut records = Vec::new();
    let mut pipelines = Vec::new();
    for run in list_runs(lake).map_err(|e| e.problem())?.iter().rev() {
        match RunRecord::load(lake, run) {
            Ok(record) => {
                if is_wanted(args, since, &record) {
                    records.push(record);
                } else {
                    pipelines.push(record.pipeline);
                }
            }
            // One that cannot be read must not hide the others.
            Err(e) => crate::complain::talk!("{}", e.problem()),
        }
    }
    records.truncate(args.limit.unwrap_or(usize::MAX));
    if args.json {
        table_view::print_json(&records.iter().map(summary).collect())?;
    } else if !records.is_empty() {
        let header = ["run", "pipeline", "state", "began", "took", "nodes", "set", "from"];
        table_view::print(&header, records.iter().map(row).collect())?;
    }
    if records.is_empty() {
        say_none(args, &pipelines);
    }
    Ok(Ending::Done)
}

fn is_wanted(args: &RunsListArgs, since: Option<Time>, record: &RunRecord) -> bool {
    let wanted = args.state.map(|it| match it {
        StateFilter::Queued => "queued",
        StateFilter::Running => "running",
        StateFilter::Paused => "paused",
        StateFilter::Succeeded => "succeeded",
        StateFilter::Failed => "failed",
        StateFilter::Cancelled => "cancelled",
        StateFilter::Lost => "lost",
    });
    args.pipeline.as_ref().is_none_or(|it| *it == record.pipeline)
        && since.is_none_or(|it| record.began_at >= it.0)
        && wanted.is_none_or(|it| it == state(record))
}

fn say_none(args: &RunsListArgs, pipelines: &[String]) {
    let lake = args.lake.dir().display();
    let nearest = args.pipeline.as_ref().and_then(|typed| {
        let others = pipelines.iter().map(String::as_str).filter(|it| it != typed);
        tidemill_plan::nearest(typed, others)
    });
    match nearest {
        Some(it) => crate::complain::talk!("the lake `{lake}` has no such runs; did you mean `{it}`?"),
        None if pipelines.is_empty() => crate::complain::talk!("the lake `{lake}` has no runs yet"),
        None => crate::complain::talk!("the lake `{lake}` has no such runs"),
    }
}

/// `lost` where the process died before it could say how the run ended.
pub(crate) fn state(record: &RunRecord) -> &'static str {
    match record.state {
        RunState::Running if record.is_lost() => "lost",
        RunState::Running => "running",
        RunState::Succeeded => "succeeded",
        RunState::Failed => "failed",
        RunState::Cancelled => "cancelled",
    }
}

fn number(record: &RunRecord, state: NodeState) -> usize {
    record.nodes.iter().filter(|it| it.state == state).count()
}

const COUNTED: [(NodeState, &str); 6] = [
    (NodeState::Computed, "computed"),
    (NodeState::Reused, "reused"),
    (NodeState::Failed, "failed"),
    (NodeState::Skipped, "skipped"),
    (NodeState::Cancelled, "cancelled"),
    (NodeState::Pending, "not ended"),
];

/// `3 computed, 4 reused`.
fn counts(record: &RunRecord) -> String {
    let counts = COUNTED.iter().map(|(state, name)| (number(record, *state), name));
    let counts = counts.filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}"));
    counts.collect::<Vec<_>>().join(", ")
}

/// `a=1 b=x`: what neither the pipeline says by itself, nor the run that this one goes back to.
fn changed_parameters(record: &RunRecord) -> String {
    let changed = record.parameters.iter();
    let changed = changed.filter(|(_, it)| it.from != "default" && !it.from.starts_with("run "));
    changed.map(|(name, it)| format!("{name}={}", shown(&it.value))).collect::<Vec<_>>().join(" ")
}

/// Text bare, everything else as JSON.
pub(crate) fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn took(record: &RunRecord) -> Option<String> {
    record.took().map(quantity::duration)
}

fn row(record: &RunRecord) -> Vec<String> {
    vec![
        record.run.to_string(),
        record.pipeline.clone(),
        state(record).to_owned(),
        quantity::time(whole(record.began_at, 1_000_000_000)),
        took(record).unwrap_or_default(),
        counts(record),
        changed_parameters(record),
        match (&record.from, &record.replay_of) {
            (Some(it), _) => it.to_string(),
            (None, Some(it)) => format!("replay of {it}"),
            (None, None) if record.is_sweep => "sweep".to_owned(),
            (None, None) => String::new(),
        },
    ]
}

/// Cut to whole units, given in nanoseconds: what is finer helps nobody who looks at a table.
fn whole(at: i64, unit: i64) -> Time {
    Time(at.saturating_sub(at.rem_euclid(unit)))
}

fn summary(record: &RunRecord) -> Value {
    let number_of =
        |(state, name): &(NodeState, &str)| (name.replace(' ', "_"), number(record, *state).into());
    let nodes: serde_json::Map<String, Value> = COUNTED.iter().map(number_of).collect();
    json!({
        "run": record.run, "pipeline": record.pipeline, "file": record.file, "folder": record.folder,
        "state": state(record), "began_at": record.began_at, "ended_at": record.ended_at,
        "window": record.window, "parameters": record.parameters, "nodes": nodes, "from": record.from,
        "replay_of": record.replay_of, "host": record.host, "is_sweep": record.is_sweep,
    })
}

fn show(args: &RunsShowArgs) -> anyhow::Result<Ending> {
    let lake = args.lake.dir();
    let record = load(lake, &args.run)?;
    let chain = chain(lake, &record);
    if args.json {
        let mut value = serde_json::to_value(&record)?;
        value["state"] = state(&record).into();
        value["chain"] = chain.iter().map(link_json).collect();
        table_view::print_json(&value)?;
    } else {
        print_head(&record, &chain)?;
        print_record(&record)?;
    }
    Ok(Ending::Done)
}

/// What went in and what came out.
pub(crate) fn print_record(record: &RunRecord) -> anyhow::Result<()> {
    print_parameters(record)?;
    print_read(record)?;
    print_nodes(record)?;
    print_attempts(record)?;
    print_metrics(record)?;
    artefacts::print(&artefacts::of_record(record))?;
    print_errors(record)
}

/// A run's record, by what was typed.
pub(crate) fn load(lake: &Path, typed: &str) -> anyhow::Result<RunRecord> {
    lake_dir::require(lake)?;
    let run = find_run(lake, typed).map_err(|e| e.problem())?;
    Ok(RunRecord::load(lake, &run).map_err(|e| e.problem())?)
}

/// A run that another goes back to; `None` when its record is gone.
type Link = (RunId, Option<RunRecord>);

/// The runs that a run goes back to, newest first.
fn chain(lake: &Path, record: &RunRecord) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    let mut next = record.from.clone();
    while let Some(run) = next.take() {
        // A record that was edited by hand may name itself.
        if run == record.run || links.iter().any(|(it, _)| *it == run) {
            break;
        }
        let before = RunRecord::load(lake, &run).ok();
        next = before.as_ref().and_then(|it| it.from.clone());
        links.push((run, before));
    }
    links
}

fn link_json((run, record): &Link) -> Value {
    json!({
        "run": run, "state": record.as_ref().map(state),
        "parameters": record.as_ref().map(|it| &it.parameters),
    })
}

/// What tasks reported.
fn print_metrics(record: &RunRecord) -> anyhow::Result<()> {
    let rows = record.nodes.iter().flat_map(|node| {
        node.metrics.iter().map(|(name, value)| vec![node.node.clone(), name.clone(), shown(value)])
    });
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    table_view::print_after(&["node", "metric", "value"], rows)
}

fn print_head(record: &RunRecord, chain: &[Link]) -> anyhow::Result<()> {
    let mut rows = vec![
        vec!["run".to_owned(), record.run.to_string()],
        vec!["pipeline".to_owned(), format!("{} ({})", record.pipeline, record.file)],
        vec!["folder".to_owned(), record.folder.clone()],
        vec!["state".to_owned(), format!("{}: {}", state(record), counts(record))],
        vec!["began".to_owned(), quantity::time(whole(record.began_at, 1_000_000))],
    ];
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            rows.push(vec![name.to_owned(), value]);
        }
    };
    add("took", took(record));
    add("start", record.window.start.map(quantity::time));
    add("end", record.window.end.map(quantity::time));
    add("as of", record.window.as_of.map(quantity::time));
    if !record.host.is_empty() {
        add("host", Some(format!("tidemill {}, contract {}", record.host, record.contract)));
    }
    add("replay of", record.replay_of.as_ref().map(ToString::to_string));
    for (run, before) in chain {
        let what = match before {
            Some(it) => format!("{run}: {}  {}", state(it), changed_parameters(it)),
            None => format!("{run}: its record is gone"),
        };
        add("from", Some(what.trim_end().to_owned()));
    }
    table_view::print_plain(rows)
}

fn print_parameters(record: &RunRecord) -> anyhow::Result<()> {
    if record.parameters.is_empty() {
        return Ok(());
    }
    let rows = record.parameters.iter();
    let rows = rows.map(|(name, it)| vec![name.clone(), shown(&it.value), it.from.clone()]);
    table_view::print_after(&["parameter", "value", "from"], rows.collect())
}

/// First digits of a digest, for people.
pub(crate) fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

fn print_read(record: &RunRecord) -> anyhow::Result<()> {
    let components = record.components.iter();
    let components: Vec<_> =
        components.map(|it| vec![it.reference.clone(), short(&it.digest), it.path.clone()]).collect();
    if !components.is_empty() {
        table_view::print_after(&["component", "digest", "path"], components)?;
    }
    let of_node = |node: &NodeRecord| {
        let row = |it: &tidemill_driver::FileRecord| {
            vec![node.node.clone(), short(&it.digest), quantity::bytes(it.bytes), it.path.clone()]
        };
        node.files.iter().map(row).collect::<Vec<_>>()
    };
    let sources: Vec<_> = record.nodes.iter().flat_map(of_node).collect();
    if !sources.is_empty() {
        table_view::print_after(&["source", "digest", "size", "path"], sources)?;
    }
    Ok(())
}

/// `512 MiB, 10 s, 1,000,000 fuel`: of a task.
fn limits(node: &NodeRecord) -> String {
    if node.task.is_none() {
        return String::new();
    }
    let memory = node.resources.map(|it| quantity::bytes(it.memory_bytes));
    let timeout = node.limits.and_then(|it| it.timeout_ms);
    let timeout = timeout.map(|it| quantity::duration(Duration::from_millis(it)));
    let fuel = node.limits.and_then(|it| it.fuel).map(|it| format!("{} fuel", quantity::count(it)));
    [memory, timeout, fuel].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn print_nodes(record: &RunRecord) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for node in record.nodes.iter().filter(|it| it.state != NodeState::Left || !it.tables.is_empty()) {
        let state = shown(&json!(node.state));
        let seed = node.seed.clone().unwrap_or_default();
        let cells = vec![node.node.clone(), state, seed, limits(node)];
        if node.tables.is_empty() {
            rows.push(cells.clone());
        }
        for it in &node.tables {
            let is_own = it.written_by.is_empty() || it.written_by == record.run.0;
            let mut cells = cells.clone();
            cells.extend([quantity::count(it.rows), short(&it.snapshot), it.table.clone()]);
            cells.extend((!is_own).then(|| it.written_by.clone()));
            rows.push(cells);
        }
    }
    let header = ["node", "state", "seed", "limits", "rows", "snapshot", "table", "written by"];
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    table_view::print_after(&header[..columns], rows)
}

fn print_attempts(record: &RunRecord) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for node in &record.nodes {
        for it in &node.history {
            let outcome = shown(&json!(it.outcome));
            let mut cells = vec![
                format!("{}#{}", node.node, it.attempt),
                it.error.as_ref().map_or(outcome.clone(), |code| format!("{outcome}: {code}")),
                quantity::time(whole(it.began_at, 1_000_000)),
                it.took().map(quantity::duration).unwrap_or_default(),
            ];
            // Of others nothing was measured.
            if matches!(it.outcome, AttemptOutcome::Computed | AttemptOutcome::Failed) {
                let memory = node.task.as_ref().map(|_| quantity::bytes(it.memory_peak_bytes));
                cells.extend([
                    memory.unwrap_or_default(),
                    quantity::count(it.rows_in),
                    quantity::bytes(it.bytes_in),
                    quantity::count(it.rows_out),
                    quantity::bytes(it.bytes_out),
                ]);
            }
            rows.push(cells);
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    let header =
        ["attempt", "outcome", "began", "took", "memory", "rows in", "bytes in", "rows out", "bytes out"];
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    table_view::print_after(&header[..columns], rows)
}

fn print_errors(record: &RunRecord) -> anyhow::Result<()> {
    for node in &record.nodes {
        let lines = error_lines(node);
        if !lines.is_empty() {
            table_view::print_lines(&[String::new()])?;
            table_view::print_lines(&lines)?;
        }
    }
    Ok(())
}

/// Why a node failed: what, where, how to mend. None where it did not.
pub(crate) fn error_lines(node: &NodeRecord) -> Vec<String> {
    let Some(it) = &node.error else { return Vec::new() };
    let mut lines = vec![
        format!("error[{}]: {}", it.code, it.what),
        format!("  in: node `{}`, attempt {}", node.node, node.attempts),
    ];
    lines.extend((!it.mend.is_empty()).then(|| format!("  to mend: {}", it.mend)));
    lines
}
