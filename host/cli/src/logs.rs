//! `tidemill logs`: what the tasks of a run logged, per attempt.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tidemill_driver::{LogEntry, LogFile, LogRange, RunId, RunRecord, RunState, find_run, log_files};
use tidemill_plan::{Code, Problem, Time};

use crate::args::LogsArgs;
use crate::{Ending, host_logs, lake_dir, place, quantity};

/// How often a follower looks for new lines.
const FOLLOW_EVERY: Duration = Duration::from_millis(100);

pub(crate) fn logs(args: &LogsArgs, host: Option<&str>) -> anyhow::Result<Ending> {
    if let Some(client) = place::service(&args.lake, host)? {
        return host_logs::logs(args, &client);
    }
    let lake = args.lake.dir();
    lake_dir::require(lake)?;
    let run = find_run(lake, &args.run).map_err(|e| e.problem())?;
    let record = RunRecord::load(lake, &run).map_err(|e| e.problem())?;
    check_node(args, &record)?;
    let mut offsets = BTreeMap::new();
    loop {
        // Read before the logs: what was logged before the run ended is then surely printed.
        let over = is_over(lake, &run)?;
        let printed = print_new(args, lake, &run, &mut offsets)?;
        if !args.follow || over {
            if !printed && offsets.is_empty() {
                say_nothing_logged(&run);
            }
            return Ok(Ending::Done);
        }
        if !printed {
            std::thread::sleep(FOLLOW_EVERY);
        }
    }
}

fn say_nothing_logged(run: &RunId) {
    crate::complain::talk!("run {run}: nothing was logged");
}

fn check_node(args: &LogsArgs, record: &RunRecord) -> Result<(), Problem> {
    let Some(node) = &args.node else { return Ok(()) };
    if record.nodes.iter().any(|it| is_meant(node, &it.node)) {
        return Ok(());
    }
    let names: Vec<&str> = record.nodes.iter().map(|it| it.node.as_str()).take(20).collect();
    Err(Problem::new(
        Code("unknown-node"),
        format!("run `{}` has no node `{node}`", record.run),
        format!("its nodes are: {}", names.join(", ")),
    ))
}

/// A node's name, or that of its family.
pub(crate) fn is_meant(typed: &str, node: &str) -> bool {
    node == typed || node.strip_prefix(typed).is_some_and(|it| it.starts_with('['))
}

fn is_over(lake: &Path, run: &RunId) -> Result<bool, Problem> {
    let record = RunRecord::load(lake, run).map_err(|e| e.problem())?;
    Ok(record.state != RunState::Running || record.is_lost())
}

/// Prints what has been added since the last look; whether there was anything.
fn print_new(
    args: &LogsArgs,
    lake: &Path,
    run: &RunId,
    offsets: &mut BTreeMap<LogFile, u64>,
) -> anyhow::Result<bool> {
    let mut printed = false;
    for file in log_files(lake, run).map_err(|e| e.problem())? {
        if args.node.as_ref().is_some_and(|it| !is_meant(it, &file.node))
            || args.attempt.is_some_and(|it| it != file.attempt)
        {
            continue;
        }
        let offset = match (offsets.get(&file), args.tail) {
            (Some(it), _) => *it,
            (None, Some(tail)) => file.size()?.lines.saturating_sub(tail),
            (None, None) => 0,
        };
        let mut stdout = std::io::stdout().lock();
        let mut failure = None;
        let range = LogRange { from: offset, text: args.grep.as_deref(), ..LogRange::default() };
        let next = file.read(range, |_, entry| {
            printed = true;
            failure = print_entry(args, &mut stdout, (&file.node, file.attempt), &entry).err();
            if failure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if let Some(failure) = failure {
            return Err(failure.into());
        }
        offsets.insert(file, next);
    }
    Ok(printed)
}

pub(crate) fn print_entry(
    args: &LogsArgs,
    out: &mut impl std::io::Write,
    (node, attempt): (&str, u32),
    entry: &LogEntry,
) -> std::io::Result<()> {
    if args.json {
        let value = json!({"node": node, "attempt": attempt, "at": entry.at, "level": entry.level,
            "source": entry.source, "message": entry.message, "fields": entry.fields});
        return writeln!(out, "{value}");
    }
    let at = quantity::time(Time(entry.at));
    let level = entry.level.to_uppercase();
    write!(out, "{at} {level:5} {node}#{attempt} ")?;
    if entry.source != "task" {
        write!(out, "{}: ", entry.source)?;
    }
    write!(out, "{}", plain(&entry.message))?;
    for (name, value) in &entry.fields {
        write!(out, " {}={}", plain(name), plain(value))?;
    }
    writeln!(out)
}

/// What a guest wrote must not move the cursor or look like another line.
fn plain(text: &str) -> String {
    let escape = |it: char| if it.is_control() { it.escape_default().to_string() } else { it.to_string() };
    text.chars().map(escape).collect()
}
