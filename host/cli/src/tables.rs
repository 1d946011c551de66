//! `tidemill tables`: what is in the lake.

use std::time::Duration;

use serde_json::{Value, json};
use tidemill_lake::TableEntry;
use tidemill_plan::{Code, Problem, Time};

use crate::args::{TablesArgs, TablesCommand, TablesWhat};
use crate::client::require_host;
use crate::{Ending, host_tables, lake_dir, place, quantity, table_view};

pub(crate) fn tables(command: &TablesCommand, host: Option<&str>) -> anyhow::Result<Ending> {
    match &command.what {
        Some(TablesWhat::History(it)) => return host_tables::history(it, &require_host(host)?),
        Some(TablesWhat::Lineage(it)) => return host_tables::lineage(it, &require_host(host)?),
        Some(TablesWhat::Mirrors(it)) => return host_tables::mirrors(it, &require_host(host)?),
        None => {}
    }
    let args = &command.list;
    match place::service(&args.lake, host)? {
        Some(client) => host_tables::list(args, &client),
        None => list(args),
    }
}

fn list(args: &TablesArgs) -> anyhow::Result<Ending> {
    place::refuse_service_only(&[("--pipeline", args.pipeline.is_some())])?;
    let lake = lake_dir::open_to_read(&args.lake)?;
    let mut entries = lake.tables().map_err(|e| lake_dir::problem(&e))?;
    entries.retain(|it| is_listed(args, it));
    if args.json {
        table_view::print_json(&Value::Array(entries.iter().map(to_json).collect()))?;
        return Ok(Ending::Done);
    }
    if entries.is_empty() {
        say_empty(args);
        return Ok(Ending::Done);
    }
    let header = ["table", "node", "window", "rows", "size", "from", "to", "digest", "age"];
    table_view::print(&header, entries.iter().map(to_row).collect())?;
    Ok(Ending::Done)
}

fn is_listed(args: &TablesArgs, it: &TableEntry) -> bool {
    let (name, node) = (it.name.0.to_lowercase(), it.state.as_ref().ok().map(|it| &it.provenance.node));
    let is_node = |typed: &String| {
        node.is_some_and(|it| it == typed || it.strip_prefix(typed).is_some_and(|it| it.starts_with('[')))
    };
    args.containing.as_ref().is_none_or(|it| name.contains(&it.to_lowercase()))
        && args.node.as_ref().is_none_or(is_node)
}

fn say_empty(args: &TablesArgs) {
    let lake = args.lake.dir().display();
    if args.containing.is_some() || args.node.is_some() {
        crate::complain::talk!("the lake `{lake}` has no such tables");
    } else {
        crate::complain::talk!("the lake `{lake}` has no tables yet");
    }
}

fn to_row(it: &TableEntry) -> Vec<String> {
    let name = it.name.to_string();
    let folder = it.window.to_string();
    let manifest = match &it.state {
        Ok(manifest) => manifest,
        Err(error) => return vec![name, format!("unreadable: {error}"), folder],
    };
    let time = |it: Option<Time>| it.map(quantity::time).unwrap_or_default();
    vec![
        name,
        manifest.provenance.node.clone(),
        folder,
        quantity::count(manifest.rows),
        quantity::bytes(manifest.bytes),
        time(manifest.time_range.map(|it| it.first)),
        time(manifest.time_range.map(|it| it.last)),
        manifest.snapshot.short(),
        age(it).map(quantity::age).unwrap_or_default(),
    ]
}

fn to_json(it: &TableEntry) -> Value {
    match &it.state {
        Ok(manifest) => {
            let columns: Vec<Value> = manifest
                .schema
                .fields()
                .iter()
                .map(|it| json!({"name": it.name(), "type": tidemill_plan::data_type_name(it.data_type()), "nullable": it.is_nullable()}))
                .collect();
            let time = |it: Option<Time>| it.map(quantity::time);
            json!({
                "table": it.name, "window": it.window.to_string(), "node": manifest.provenance.node,
                "task": manifest.provenance.task, "run": manifest.provenance.run,
                "component": manifest.provenance.component.map(|it| it.to_string()),
                "cache_key": manifest.provenance.cache_key.to_string(), "snapshot": manifest.snapshot.to_string(),
                "rows": manifest.rows, "bytes": manifest.bytes, "columns": columns,
                "time_index": manifest.time_index, "identifiers": manifest.identifiers,
                "first": time(manifest.time_range.map(|it| it.first)),
                "last": time(manifest.time_range.map(|it| it.last)),
                "written_at": quantity::time(manifest.written_at),
            })
        }
        Err(error) => json!({"table": it.name, "window": it.window.to_string(), "error": error.to_string()}),
    }
}

/// Since the table was last written.
pub(crate) fn age(it: &TableEntry) -> Option<Duration> {
    let written_at = i128::from(it.state.as_ref().ok()?.written_at.0);
    let nanoseconds = jiff::Timestamp::now().as_nanosecond() - written_at;
    Some(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0)))
}

/// Whether a table is meant by what was typed: its name, the beginning of its name, `window/name`, or its node.
pub(crate) fn is_meant(typed: &str, it: &TableEntry) -> bool {
    let (folder, typed) = match typed.split_once('/') {
        Some((folder, name)) => (Some(folder), name),
        None => (None, typed),
    };
    if folder.is_some_and(|folder| folder != it.window.to_string()) {
        return false;
    }
    // A prefix must reach into the digits, so that `stats` does not mean `stats-of-legs_…`.
    let is_prefix = it.name.0 == typed || (typed.contains('_') && it.name.0.starts_with(typed));
    is_prefix || it.state.as_ref().is_ok_and(|manifest| is_node_meant(typed, it, &manifest.provenance))
}

/// A node, every member of a family, or one port of either as `node.port`.
fn is_node_meant(typed: &str, it: &TableEntry, written_by: &tidemill_lake::Provenance) -> bool {
    let node = &written_by.node;
    let family = node.split_once('[').map_or(node.as_str(), |(family, _)| family);
    if typed == node || typed == family {
        return true;
    }
    let Some((typed, port)) = typed.rsplit_once('.') else { return false };
    let is_port = it.name.0.starts_with(&format!("{}-{port}_", written_by.task));
    is_port && (typed == node || typed == family)
}

/// An error that names the nearest when nothing is meant.
pub(crate) fn require_match(entries: &[TableEntry], typed: &str) -> Result<(), Problem> {
    if entries.iter().any(|it| is_meant(typed, it)) {
        return Ok(());
    }
    let names: Vec<String> = entries
        .iter()
        .flat_map(|it| {
            let node = it.state.as_ref().ok().map(|it| it.provenance.node.clone());
            [Some(it.name.0.clone()), node].into_iter().flatten()
        })
        .collect();
    let nearest = tidemill_plan::nearest(typed, names.iter().map(String::as_str));
    let mend = match nearest {
        Some(it) => format!("did you mean `{it}`? `tidemill tables` lists them all"),
        None => "`tidemill tables` lists what is there".to_owned(),
    };
    Err(Problem::new(Code("unknown-table"), format!("the lake has no table `{typed}`"), mend))
}
