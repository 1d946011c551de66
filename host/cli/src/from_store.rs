//! `tidemill run --from-store`: tables of a service in place of what nodes would compute, copied once.

use std::collections::BTreeMap;

use tidemill_driver::{StoredRecord, StoredTable, copy_stored, is_copied};
use tidemill_lake::{Lake, RowOrder, TableRows};
use tidemill_plan::{Code, Digest, PlanNode, Problem, TableName, Work};
use tidemill_server::wire::TableDetail;

use crate::client::{Client, Refusal, require_host};
use crate::complain::talk;
use crate::run::Planned;
use crate::{host_tables, quantity};

/// By the plan's order, what was copied for each node, and which nodes are left to compute.
pub(crate) type Copies = (BTreeMap<usize, Vec<StoredRecord>>, Vec<bool>);

/// Copies what the lake does not have as it is on the service now.
pub(crate) fn copy(
    names: &[String],
    planned: &Planned,
    lake: &Lake,
    host: Option<&str>,
) -> anyhow::Result<Copies> {
    let mut copies = BTreeMap::new();
    if names.is_empty() {
        return Ok((copies, planned.selected.clone()));
    }
    let (positions, selected) = planned.plan.cut_at(names, &planned.selected)?;
    let client = require_host(host)?;
    talk!("on {}", client.url());
    for position in positions {
        let outputs = 0..planned.plan.nodes[position].outputs.len();
        let copied = outputs.map(|output| copy_table(&client, planned, (position, output), lake));
        copies.insert(position, copied.collect::<anyhow::Result<_>>()?);
    }
    Ok((copies, selected))
}

fn copy_table(
    client: &Client,
    planned: &Planned,
    place: (usize, usize),
    lake: &Lake,
) -> anyhow::Result<StoredRecord> {
    let plan = &planned.plan;
    let node = &plan.nodes[place.0];
    let name = name_of(node, place.1);
    let detail = detail(client, node, name)?;
    let (version, snapshot) = (detail.newest.version, digest(&detail)?);
    if is_copied(plan, place, lake, &snapshot)? {
        return Ok(StoredRecord { table: name.0.clone(), version, snapshot: snapshot.to_string() });
    }
    let arriving = host_tables::version_rows(client, &name.0, version, &plan.window)?;
    let rows = TableRows {
        table: name.clone(),
        schema: arriving.schema(),
        // Of a table whose index nobody has told, the rows are in no order.
        order: if detail.time_index.is_none() { RowOrder::Any } else { RowOrder::AsFiles },
        batches: Box::new(arriving.map(|it| it.map_err(|e| e.to_string()))),
    };
    let TableDetail { time_index, identifiers, .. } = detail;
    let stored = StoredTable { version, snapshot, time_index, identifiers, rows };
    let copied = copy_stored(plan, place, lake, stored)?;
    let rows = quantity::rows(detail.newest.rows.unwrap_or_default());
    talk!("copied `{}`: {rows} of {name}, version {version}", node.name);
    Ok(copied)
}

/// A node's table has one name everywhere; a source that reads a table of the service names it.
fn name_of(node: &PlanNode, output: usize) -> &TableName {
    match &node.work {
        Work::Source(spec) => spec.table().unwrap_or(&node.outputs[output].name),
        Work::Task(_) => &node.outputs[output].name,
    }
}

fn detail(client: &Client, node: &PlanNode, name: &TableName) -> anyhow::Result<TableDetail> {
    let found = client.get::<TableDetail>(&["tables", &name.0]);
    let is_there = match &found {
        Ok(it) => it.newest.name == name.0,
        Err(e) => e.downcast_ref::<Refusal>().is_none_or(|it| it.code() != "unknown-table"),
    };
    if is_there {
        return found;
    }
    let what = format!("the service at `{}` has no table of node `{}` ({name})", client.url(), node.name);
    let mend = "run the pipeline there first, with the same parameters and files; or leave the node out";
    Err(Problem::new(Code("not-in-store"), what, mend).into())
}

fn digest(detail: &TableDetail) -> Result<Digest, Problem> {
    let text = detail.newest.digest.as_deref().unwrap_or_default();
    text.parse().map_err(|why| {
        let what = format!("the service tells no digest of `{}`: {why}", detail.newest.name);
        Problem::new(Code("host-not-understood"), what, "check that both sides are of one version")
    })
}
