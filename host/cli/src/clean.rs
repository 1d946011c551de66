//! `tidemill clean`: removes tables or runs on purpose. Lists what it would do until `--yes` is given.

use std::time::Duration;

use serde_json::json;
use tidemill_driver::{RunId, RunRecord, RunState, find_run, list_runs, remove_run};
use tidemill_lake::TableEntry;
use tidemill_plan::{Code, Problem};

use crate::args::CleanArgs;
use crate::{Ending, lake_dir, quantity, table_view, tables};

pub(crate) fn clean(args: &CleanArgs) -> anyhow::Result<Ending> {
    let nothing_named = args.tables.is_empty() && args.runs.is_empty() && !args.all_tables && !args.all_runs;
    if nothing_named {
        return Err(Problem::new(
            Code("nothing-named"),
            "nothing was named to be removed",
            "name tables with `--table`, runs with `--run`, or use `--all-tables` or `--all-runs`",
        )
        .into());
    }
    lake_dir::require(&args.lake.dir)?;
    let older_than =
        args.older_than.as_ref().map(|it| quantity::parse_age("--older-than", it)).transpose()?;
    let lake = match args.yes {
        true => lake_dir::open_to_write(&args.lake, "tidemill clean")?,
        false => lake_dir::open_to_read(&args.lake)?,
    };
    let tables = tables_meant(args, &lake, older_than)?;
    let runs = runs_meant(args, older_than)?;
    if args.yes {
        for it in &tables {
            lake.remove(&it.window, &it.name).map_err(|e| lake_dir::problem(&e))?;
        }
        for it in &runs {
            remove_run(&args.lake.dir, it).map_err(|e| e.problem())?;
        }
    }
    print(args, &tables, &runs)?;
    Ok(Ending::Done)
}

fn tables_meant(
    args: &CleanArgs,
    lake: &tidemill_lake::Lake,
    older_than: Option<Duration>,
) -> anyhow::Result<Vec<TableEntry>> {
    if args.tables.is_empty() && !args.all_tables {
        return Ok(Vec::new());
    }
    let entries = lake.tables().map_err(|e| lake_dir::problem(&e))?;
    for typed in &args.tables {
        tables::require_match(&entries, typed)?;
    }
    let meant = |it: &TableEntry| {
        (args.all_tables || args.tables.iter().any(|typed| tables::is_meant(typed, it)))
            && older_than.is_none_or(|limit| tables::age(it).is_some_and(|age| age >= limit))
    };
    Ok(entries.into_iter().filter(meant).collect())
}

fn runs_meant(args: &CleanArgs, older_than: Option<Duration>) -> anyhow::Result<Vec<RunId>> {
    let lake = &args.lake.dir;
    let mut runs = if args.all_runs { list_runs(lake).map_err(|e| e.problem())? } else { Vec::new() };
    for typed in &args.runs {
        let run = find_run(lake, typed).map_err(|e| e.problem())?;
        if !runs.contains(&run) {
            runs.push(run);
        }
    }
    let now = jiff::Timestamp::now().as_nanosecond();
    runs.retain(|run| {
        let record = RunRecord::load(lake, run).ok();
        // The lake's lock is held here, so a record that says `running` is of a process that died.
        let ended = record.as_ref().map(|it| {
            if it.state == RunState::Running { it.began_at } else { it.ended_at.unwrap_or(it.began_at) }
        });
        older_than.is_none_or(|limit| {
            ended.is_some_and(|it| {
                now - i128::from(it) >= i128::try_from(limit.as_nanos()).unwrap_or(i128::MAX)
            })
        })
    });
    Ok(runs)
}

/// On disk; nothing is known of a table that cannot be read.
fn size_of(it: &TableEntry) -> u64 {
    it.state.as_ref().map_or(0, |it| it.bytes)
}

fn print(args: &CleanArgs, tables: &[TableEntry], runs: &[RunId]) -> anyhow::Result<()> {
    let bytes: u64 = tables.iter().map(size_of).sum();
    if args.json {
        let tables: Vec<_> = tables
            .iter()
            .map(|it| json!({"table": it.name, "folder": it.window.to_string(), "bytes": size_of(it)}))
            .collect();
        return table_view::print_json(&json!({"removed": args.yes, "tables": tables, "runs": runs}));
    }
    let mut rows: Vec<Vec<String>> = tables
        .iter()
        .map(|it| {
            vec!["table".to_owned(), format!("{}/{}", it.window, it.name), quantity::bytes(size_of(it))]
        })
        .collect();
    rows.extend(runs.iter().map(|it| vec!["run".to_owned(), it.0.clone(), String::new()]));
    if !rows.is_empty() {
        table_view::print(&["what", "name", "size"], rows)?;
    }
    let (tables, runs, size) = (tables.len(), runs.len(), quantity::bytes(bytes));
    if args.yes {
        crate::complain::talk!("removed {tables} tables ({size}) and {runs} runs");
    } else {
        crate::complain::talk!("would remove {tables} tables ({size}) and {runs} runs; add `--yes` to do it");
    }
    Ok(())
}
