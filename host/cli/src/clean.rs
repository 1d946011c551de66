//! `tidemill clean`: removes tables, runs or sweeps on purpose, and with them the artefacts that nothing names any more.
//! Lists what it would do until `--yes` is given.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tidemill_driver::{
    RunId, RunRecord, UnnamedArtefact, find_run, find_sweep, list_runs, list_sweeps, load_rows,
    named_in_lake, remove_artefacts, remove_run, remove_sweep, unnamed_artefacts,
};
use tidemill_lake::TableEntry;
use tidemill_plan::{Code, Problem};

use crate::args::CleanArgs;
use crate::{Ending, lake_dir, quantity, table_view, tables};

pub(crate) fn clean(args: &CleanArgs) -> anyhow::Result<Ending> {
    let is_all = args.all_tables || args.all_runs || args.all_sweeps;
    if args.tables.is_empty() && args.runs.is_empty() && args.sweeps.is_empty() && !is_all {
        return Err(Problem::new(
            Code("nothing-named"),
            "nothing was named to be removed",
            "name tables with `--table`, runs with `--run`, sweeps with `--sweep`, or use `--all-tables`, `--all-runs` or `--all-sweeps`",
        )
        .into());
    }
    lake_dir::require(args.lake.dir())?;
    let older_than =
        args.older_than.as_ref().map(|it| quantity::parse_age("--older-than", it)).transpose()?;
    let lake = match args.yes {
        true => lake_dir::open_to_write(&args.lake, "tidemill clean")?,
        false => lake_dir::open_to_read(&args.lake)?,
    };
    let tables = tables_meant(args, &lake, older_than)?;
    let runs = runs_meant(args, older_than)?;
    let sweeps = sweeps_meant(args, older_than)?;
    let artefacts = artefacts_meant(args, &lake, &tables, &runs)?;
    if args.yes {
        for it in &tables {
            lake.remove(&it.window, &it.name).map_err(|e| lake_dir::problem(&e))?;
        }
        for it in &runs {
            remove_run(args.lake.dir(), it).map_err(|e| e.problem())?;
        }
        for it in &sweeps {
            remove_sweep(args.lake.dir(), it).map_err(|e| e.problem())?;
        }
        // Last: what named them is gone by now.
        remove_artefacts(&artefacts).map_err(|e| e.problem())?;
    }
    print(args, &tables, &runs, &sweeps, &artefacts)?;
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
    let lake = args.lake.dir();
    let mut runs = if args.all_runs { list_runs(lake).map_err(|e| e.problem())? } else { Vec::new() };
    for typed in &args.runs {
        let run = find_run(lake, typed).map_err(|e| e.problem())?;
        if !runs.contains(&run) {
            runs.push(run);
        }
    }
    runs.retain(|run| {
        let record = RunRecord::load(lake, run).ok();
        is_old(older_than, record.map(|it| (it.began_at, it.ended_at)))
    });
    Ok(runs)
}

fn sweeps_meant(args: &CleanArgs, older_than: Option<Duration>) -> anyhow::Result<Vec<RunId>> {
    let lake = args.lake.dir();
    let mut sweeps = if args.all_sweeps { list_sweeps(lake).map_err(|e| e.problem())? } else { Vec::new() };
    for typed in &args.sweeps {
        let sweep = find_sweep(lake, typed).map_err(|e| e.problem())?;
        if !sweeps.contains(&sweep) {
            sweeps.push(sweep);
        }
    }
    sweeps.retain(|sweep| {
        let record = load_rows(lake, sweep).ok();
        is_old(older_than, record.map(|(it, _)| (it.began_at, it.ended_at)))
    });
    Ok(sweeps)
}

/// What no run and no table names that stays. Nothing of it where what is named cannot be read.
fn artefacts_meant(
    args: &CleanArgs,
    lake: &tidemill_lake::Lake,
    tables: &[TableEntry],
    runs: &[RunId],
) -> anyhow::Result<Vec<UnnamedArtefact>> {
    let root = args.lake.dir();
    let gone: BTreeSet<&str> = runs.iter().map(|it| it.0.as_str()).collect();
    let gone_tables: BTreeSet<_> = tables.iter().map(|it| (it.window, &it.name)).collect();
    let named = named_in_lake(
        root,
        lake,
        |run| !gone.contains(run),
        |table| !gone_tables.contains(&(table.window, &table.name)),
    );
    match named {
        Ok(named) => Ok(unnamed_artefacts(root, &named, Duration::ZERO).map_err(|e| e.problem())?),
        Err(e) => {
            crate::complain::talk!(
                "artefacts stay, since it is not known which are still named: {}",
                e.problem()
            );
            Ok(Vec::new())
        }
    }
}

/// Times when something began and ended. The lake's lock is held here, so what has no end is of a process that died.
fn is_old(older_than: Option<Duration>, times: Option<(i64, Option<i64>)>) -> bool {
    let now = jiff::Timestamp::now().as_nanosecond();
    older_than.is_none_or(|limit| {
        let limit = i128::try_from(limit.as_nanos()).unwrap_or(i128::MAX);
        times.is_some_and(|(began, ended)| now - i128::from(ended.unwrap_or(began)) >= limit)
    })
}

/// On disk; nothing is known of a table that cannot be read.
fn size_of(it: &TableEntry) -> u64 {
    it.state.as_ref().map_or(0, |it| it.bytes)
}

fn print(
    args: &CleanArgs,
    tables: &[TableEntry],
    runs: &[RunId],
    sweeps: &[RunId],
    artefacts: &[UnnamedArtefact],
) -> anyhow::Result<()> {
    let bytes: u64 = tables.iter().map(size_of).sum();
    if args.json {
        let tables: Vec<_> = tables
            .iter()
            .map(|it| json!({"table": it.name, "folder": it.window.to_string(), "bytes": size_of(it)}))
            .collect();
        let artefact = |it: &UnnamedArtefact| json!({"path": it.path, "bytes": it.bytes});
        let artefacts: Vec<_> = artefacts.iter().map(artefact).collect();
        return table_view::print_json(
            &json!({"removed": args.yes, "tables": tables, "runs": runs, "sweeps": sweeps, "artefacts": artefacts}),
        );
    }
    let mut rows: Vec<Vec<String>> = tables
        .iter()
        .map(|it| {
            vec!["table".to_owned(), format!("{}/{}", it.window, it.name), quantity::bytes(size_of(it))]
        })
        .collect();
    for (what, ids) in [("run", runs), ("sweep", sweeps)] {
        rows.extend(ids.iter().map(|it| vec![what.to_owned(), it.0.clone(), String::new()]));
    }
    if !rows.is_empty() {
        table_view::print(&["what", "name", "size"], rows)?;
    }
    let number = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let mut parts = vec![format!("{} ({})", number(tables.len(), "table"), quantity::bytes(bytes))];
    parts.push(number(runs.len(), "run"));
    parts.push(number(sweeps.len(), "sweep"));
    if !artefacts.is_empty() {
        let bytes = artefacts.iter().map(|it| it.bytes).sum();
        parts.push(format!("{} ({})", number(artefacts.len(), "artefact"), quantity::bytes(bytes)));
    }
    let parts = parts.join(", ");
    if args.yes {
        crate::complain::talk!("removed {parts}");
    } else {
        crate::complain::talk!("would remove {parts}; add `--yes` to do it");
    }
    Ok(())
}
