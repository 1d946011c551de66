//! Tables that somebody else keeps: a source reads one of the service that the run is in, whoever wrote it there, and a
//! lake takes a copy of one for a node. The version is chosen when the run begins, and stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidemill_lake::{Lake, LakeError, Manifest, Provenance, ReadOptions, RowOrder, TableRows, WindowFolder};
use tidemill_plan::{
    Digest, Plan, PlanNode, Problem, SourcePlace, SourceSpec, TableName, Window, Work, WriteMode,
};
use tidemill_sandbox::{Interrupt, Usage};

use crate::attempt::{AttemptEnd, Reported, Shared, keep_source, node_key, reusable};
use crate::failure::NodeFailure;
use crate::table_io::open_writer;

/// Of the code that reads tables as sources: raised when reading the same table would give other Arrow.
const CONTRACT: &str = "source-table@1";

/// The version of a table that stands for a node, or that a source reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRecord {
    pub table: String,
    /// Of the service's catalogue.
    pub version: i64,
    pub snapshot: String,
}

impl StoredRecord {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let version = manifest.catalog.as_ref().and_then(|it| it.version).unwrap_or_default();
        Self { table: manifest.table.0.clone(), version, snapshot: manifest.snapshot.to_string() }
    }
}

/// A table of a service on its way into a lake.
#[derive(Debug)]
pub struct StoredTable {
    pub version: i64,
    pub snapshot: Digest,
    pub time_index: Option<String>,
    pub identifiers: Vec<String>,
    pub rows: TableRows,
}

/// Whether a node's table is a copy of this snapshot already.
///
/// # Errors
/// When the table cannot be read.
pub fn is_copied(
    plan: &Plan,
    place: (usize, usize),
    lake: &Lake,
    snapshot: &Digest,
) -> Result<bool, Problem> {
    let (node, output) = place;
    let table = &plan.nodes[node].outputs[output].name;
    let found = lake.manifest(&WindowFolder::of(&plan.window), table).map_err(|e| Problem::from(&e))?;
    Ok(found.is_some_and(|it| it.provenance.cache_key == copy_key(snapshot)))
}

/// Puts a table of a service into a lake as that of a node, by its position and that of its output; as far as the plan's
/// window goes.
///
/// # Errors
/// When the rows break off, or the lake cannot be written.
pub fn copy_stored(
    plan: &Plan,
    (node, output): (usize, usize),
    lake: &Lake,
    stored: StoredTable,
) -> Result<StoredRecord, Problem> {
    let node = &plan.nodes[node];
    let StoredTable { version, snapshot, time_index, identifiers, rows } = stored;
    let table = rows.table.0.clone();
    // What a node wrote is indexed as it declares; of a source that names a table only reading it tells.
    let spec = match &node.work {
        Work::Source(spec) if spec.table().is_some() => spec.clone(),
        Work::Source(_) | Work::Task(_) => as_declared(&rows.table, time_index, identifiers),
    };
    let target = PlanNode { write_mode: WriteMode::Replace, ..node.clone() };
    let folder = WindowFolder::of(&plan.window);
    let copied = copy(&target, output, &spec, rows, (lake, &folder, &plan.window), &snapshot);
    copied.map_err(|it| Problem::new(it.code, it.what, it.mend))?;
    Ok(StoredRecord { table, version, snapshot: snapshot.to_string() })
}

fn as_declared(table: &TableName, time_index: Option<String>, identifiers: Vec<String>) -> SourceSpec {
    SourceSpec {
        place: SourcePlace::Table { table: table.clone() },
        time_index,
        identifiers: Some(identifiers),
        columns: BTreeMap::new(),
        knowledge_time: None,
        sort: false,
    }
}

fn copy(
    node: &PlanNode,
    output: usize,
    spec: &SourceSpec,
    rows: TableRows,
    (lake, folder, window): (&Lake, &WindowFolder, &Window),
    snapshot: &Digest,
) -> Result<(), NodeFailure> {
    let mut reader = tidemill_lake::open_table_source(spec, rows, window)?;
    let mut table = node.outputs[output].clone();
    table.time_index = reader.time_index().map(str::to_owned);
    table.identifiers = reader.identifiers().to_vec();
    let attempt = format!("copy-{}", &snapshot.short());
    let mut writer = open_writer(lake, folder, node, &table, reader.schema(), attempt)?;
    while let Some(batch) = reader.next_batch()? {
        writer.write(&batch)?;
    }
    let (task, component) = match &node.work {
        Work::Source(_) => (node.family.clone(), None),
        Work::Task(it) => (it.description.name.clone(), Some(it.digest)),
    };
    writer.finish(Provenance {
        cache_key: copy_key(snapshot),
        node: node.name.clone(),
        task,
        component,
        run: String::new(),
        metrics: BTreeMap::new(),
        artefacts: Vec::new(),
    })?;
    Ok(())
}

/// Of no node's own result: a run without the copy computes the table anew.
fn copy_key(snapshot: &Digest) -> Digest {
    Digest::of(format!("copy of {snapshot}").as_bytes())
}

/// The table itself, where the source is nothing but it: no rows are copied then.
pub(crate) fn as_it_is(spec: &SourceSpec, stored: &Arc<Manifest>, window: &Window) -> Option<Arc<Manifest>> {
    // Who reads it clips it at its end, but would see what is before the start.
    let is_whole = spec.columns.is_empty() && spec.knowledge_time.is_none() && window.start.is_none();
    let time = stored.time_index.as_ref()?;
    let is_indexed_so = spec.time_index.as_ref().is_none_or(|it| it == time)
        && spec.identifiers.as_ref().is_none_or(|it| *it == stored.identifiers);
    // Versions of another program are not found again by their digest, and a node that adds to its table must find what
    // it read before to see corrections: of these the copies are.
    let is_ours = stored.parts.iter().all(|it| it.foreign.is_none());
    (is_whole && is_indexed_so && is_ours).then(|| Arc::clone(stored))
}

/// One attempt at such a source.
pub(crate) fn read(
    shared: &Shared<'_>,
    position: usize,
    spec: &SourceSpec,
    attempt: u32,
    interrupt: &Interrupt,
) -> Result<AttemptEnd, NodeFailure> {
    let node = &shared.plan.nodes[position];
    let Some(stored) = &shared.stored[position] else {
        let table = spec.location().to_owned();
        return Err(tidemill_lake::SourceError::OfService { table }.into());
    };
    if let Some(table) = as_it_is(spec, stored, &shared.plan.window) {
        return Ok(AttemptEnd::Reused { tables: vec![table].into(), reported: Reported::default() });
    }
    let key = key_of(node, shared, stored);
    if let Some(end) = reusable(shared, node, &key)? {
        return Ok(end);
    }
    let began = std::time::Instant::now();
    let rows = rows_of(shared.lake, stored)?;
    let reader = tidemill_lake::open_table_source(spec, rows, &shared.plan.window)?;
    let usage = |_| Usage { rows_in: stored.rows, bytes_in: stored.bytes, ..Usage::default() };
    keep_source(shared, (position, attempt), reader, &key, (began, usage), interrupt)
}

fn key_of(node: &PlanNode, shared: &Shared<'_>, stored: &Manifest) -> Digest {
    let code = Digest::of(format!("table {}", stored.snapshot).as_bytes());
    node_key(node, shared.plan, &code, &[], CONTRACT)
}

fn rows_of(lake: &Lake, stored: &Manifest) -> Result<TableRows, LakeError> {
    let reader = lake.reader(stored, ReadOptions::default())?;
    // Of a table whose index nobody has told, the rows are in no order.
    let order = if stored.time_index.is_none() { RowOrder::Any } else { RowOrder::AsFiles };
    Ok(TableRows {
        table: stored.table.clone(),
        schema: reader.schema(),
        order,
        batches: Box::new(reader.map(|it| it.map_err(|e| e.to_string()))),
    })
}
