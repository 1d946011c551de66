//! What the attempts of a run have written, as the catalog takes it: each table with who made it and of what.

use std::sync::Arc;

use tidemill_engine::AttemptId;
use tidemill_lake::{KeyProgress, Manifest};
use tidemill_plan::{Plan, PlanTable};
use tidemill_store::{CatalogCommit, MirrorWish, ReadVersion};

use super::run::LiveRun;
use crate::attempt::Tables;
use crate::live_table::{Making, read_version, table_write};
use crate::log_file::now_ns;

/// Tables that an attempt has finished and that nobody else sees yet.
#[derive(Debug)]
pub(crate) struct Written {
    /// Of the node.
    pub(crate) position: usize,
    pub(crate) attempt: AttemptId,
    pub(crate) tables: Tables,
    /// How far each has come with this.
    pub(crate) progress: Vec<Option<Vec<KeyProgress>>>,
}

/// The commit of all that a run has written and not published; `None` where there is nothing.
pub(crate) fn catalog_commit(run: &LiveRun) -> Option<CatalogCommit> {
    let mut tables = Vec::new();
    for it in &run.pending.written {
        let making = Making { window: run.parts.live_plan.plan.window, reads: reads_of(run, it.position) };
        for (manifest, progress) in it.tables.iter().zip(&it.progress) {
            tables.extend(table_write(manifest, progress.clone(), &making));
        }
    }
    if tables.is_empty() {
        return None;
    }
    let record = &run.record;
    Some(CatalogCommit {
        at: now_ns(),
        author: "tidemill".to_owned(),
        message: format!("run {} of {}", record.run, record.pipeline),
        tables,
    })
}

/// What the mirror is to have once a node has ended well: also where its result was there before, as it is when `mirror` is
/// new in the pipeline.
pub(crate) fn mirror_wishes(plan: &Plan, position: usize, tables: &Tables) -> Vec<MirrorWish> {
    let node = &plan.nodes[position];
    let wish = |(output, manifest): (&PlanTable, &Arc<Manifest>)| {
        Some(MirrorWish {
            target: output.mirror.as_ref()?.to_string(),
            pipeline: plan.pipeline.clone(),
            node: node.name.clone(),
            table: manifest.table.clone(),
            version: manifest.catalog.as_ref()?.version,
        })
    };
    node.outputs.iter().zip(tables.iter()).filter_map(wish).collect()
}

/// The versions that a node read. Those that become visible with the same commit get their numbers there.
fn reads_of(run: &LiveRun, position: usize) -> Vec<ReadVersion> {
    let plan = &run.parts.live_plan.plan;
    let members = plan.nodes[position].inputs.iter().flat_map(|it| &it.members);
    let read = |member: &tidemill_plan::Member| {
        let tables = run.parts.held.tables[member.node].get()?;
        let read = read_version(tables.get(member.output)?);
        let version = read.version.or_else(|| run.versions.get(&member.node).copied());
        Some(ReadVersion { version, ..read })
    };
    let mut reads: Vec<ReadVersion> = members.filter_map(read).collect();
    reads.extend(run.parts.held.stored[position].iter().map(|it| read_version(it)));
    reads.sort_by(|a, b| a.table.cmp(&b.table));
    reads.dedup();
    reads
}
