//! `tidemill lake`: what keeps the lake of a service small.

use serde_json::json;
use tidemill_server::wire::{
    CollectLake, CollectedLake, CompactTables, CompactedTables, ExpireSnapshots, ExpiredSnapshots,
};

use crate::args::{CompactArgs, ExpireArgs, GcArgs, LakeCommand, LakeWhat};
use crate::client::{Client, require_host};
use crate::complain::talk;
use crate::{Ending, quantity, table_view};

pub(crate) fn lake(command: &LakeCommand, host: Option<&str>) -> anyhow::Result<Ending> {
    let client = require_host(host)?;
    match &command.what {
        LakeWhat::Gc(it) => gc(it, &client),
        LakeWhat::Compact(it) => compact(it, &client),
        LakeWhat::Expire(it) => expire(it, &client),
    }
}

fn gc(args: &GcArgs, client: &Client) -> anyhow::Result<Ending> {
    let grace = args.grace.as_deref().map(|it| quantity::parse_age("--grace", it)).transpose()?;
    let request = CollectLake { dry_run: !args.yes, grace_seconds: grace.map(|it| it.as_secs()) };
    let gone: CollectedLake = client.post(&["lake", "gc"], &request)?;
    if args.json {
        table_view::print_json(&json!(gone))?;
        return Ok(Ending::Done);
    }
    let rows = gone.listed.iter().map(|it| vec![quantity::bytes(it.bytes), it.path.clone()]);
    table_view::print_plain(rows.collect())?;
    let (files, size) = (quantity::count(gone.files), quantity::bytes(gone.bytes));
    if args.yes {
        talk!("removed {files} files, {size}");
    } else {
        talk!("would remove {files} files, {size}; `--yes` does it");
    }
    Ok(Ending::Done)
}

fn compact(args: &CompactArgs, client: &Client) -> anyhow::Result<Ending> {
    let done: CompactedTables =
        client.post(&["lake", "compact"], &CompactTables { table: args.table.clone() })?;
    let ending = if done.refused.is_empty() { Ending::Done } else { Ending::Failed };
    if args.json {
        table_view::print_json(&json!(done))?;
        return Ok(ending);
    }
    let rows = done.compacted.iter().map(|it| {
        let files = format!("{} → {}", it.files_before, it.files_after);
        vec![it.table.clone(), files, it.version.to_string()]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    if !rows.is_empty() {
        table_view::print(&["table", "files", "version"], rows)?;
    }
    for it in &done.refused {
        talk!("error[{}]: {}", it.problem.code, it.problem.title);
        if let Some(mend) = &it.problem.detail {
            talk!("  to mend: {mend}");
        }
    }
    let (some, all) = (done.compacted.len(), quantity::count(done.tables));
    talk!("compacted {some} of {all} tables");
    Ok(ending)
}

fn expire(args: &ExpireArgs, client: &Client) -> anyhow::Result<Ending> {
    let age = quantity::parse_age("--older-than", &args.older_than)?;
    let request = ExpireSnapshots { older_than_seconds: age.as_secs(), keep: args.keep, dry_run: !args.yes };
    let gone: ExpiredSnapshots = client.post(&["lake", "expire"], &request)?;
    if args.json {
        table_view::print_json(&json!(gone))?;
        return Ok(Ending::Done);
    }
    let snapshots = quantity::count(gone.snapshots);
    match (gone.files, gone.bytes) {
        (Some(files), Some(bytes)) => {
            let (files, size) = (quantity::count(files), quantity::bytes(bytes));
            talk!("forgot {snapshots} snapshots, and removed {files} files, {size}");
        }
        _ => talk!("would forget {snapshots} snapshots; `--yes` does it"),
    }
    Ok(Ending::Done)
}
