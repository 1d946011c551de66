//! What a run would do: which results are there already. Reads the lake, runs nothing.

use std::path::Path;

use tidemill_lake::{Lake, WindowFolder};
use tidemill_plan::{Digest, Plan, PlanNode, Work};

use crate::attempt::{SOURCE_CONTRACT, Tables, node_key, snapshots, source_digest, valid_tables};
use crate::failure::NodeFailure;

/// What would become of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prospect {
    /// Its result is there and valid.
    Reuse,
    /// Nothing valid is there.
    Compute,
    /// What it reads is computed first; should that come out as before, its result is reused.
    Depends,
}

/// One node's preview.
#[derive(Clone, Debug)]
pub struct Preview {
    pub prospect: Prospect,
    /// `None` while what it reads is not known.
    pub cache_key: Option<Digest>,
    /// What would stop it, seen already now: a source that cannot be read.
    pub failure: Option<NodeFailure>,
}

/// One preview per node of the plan. Without a lake nothing is there.
#[must_use]
pub fn preview(plan: &Plan, lake: Option<&Lake>, base: &Path) -> Vec<Preview> {
    let folder = WindowFolder::of(&plan.window);
    let mut known: Vec<Option<Tables>> = Vec::with_capacity(plan.nodes.len());
    let mut previews = Vec::with_capacity(plan.nodes.len());
    for node in &plan.nodes {
        let (preview, tables) = match key_of(plan, node, base, &known) {
            Ok(key) => look_up(lake, &folder, node, key),
            Err(failure) => {
                (Preview { prospect: Prospect::Compute, cache_key: None, failure: Some(failure) }, None)
            }
        };
        known.push(tables);
        previews.push(preview);
    }
    previews
}

fn key_of(
    plan: &Plan,
    node: &PlanNode,
    base: &Path,
    known: &[Option<Tables>],
) -> Result<Option<Digest>, NodeFailure> {
    match &node.work {
        Work::Source(spec) => {
            let code = source_digest(&tidemill_lake::source_files(spec, base)?);
            Ok(Some(node_key(node, plan, &code, &[], SOURCE_CONTRACT)))
        }
        Work::Task(task) => {
            let read = snapshots(node, |node, output| Some(&*known[node].as_ref()?[output]));
            Ok(read.map(|it| node_key(node, plan, &task.digest, &it, tidemill_sandbox::CONTRACT)))
        }
    }
}

fn look_up(
    lake: Option<&Lake>,
    folder: &WindowFolder,
    node: &PlanNode,
    key: Option<Digest>,
) -> (Preview, Option<Tables>) {
    let Some(key) = key else {
        let is_there = |it: &Lake| {
            node.outputs.iter().all(|table| matches!(it.manifest(folder, &table.name), Ok(Some(_))))
        };
        let prospect = if lake.is_some_and(is_there) { Prospect::Depends } else { Prospect::Compute };
        return (Preview { prospect, cache_key: None, failure: None }, None);
    };
    let found = lake.map_or(Ok(None), |it| valid_tables(it, folder, node, &key));
    let (prospect, tables, failure) = match found {
        Ok(Some(tables)) => (Prospect::Reuse, Some(tables), None),
        Ok(None) => (Prospect::Compute, None, None),
        Err(failure) => (Prospect::Compute, None, Some(failure)),
    };
    (Preview { prospect, cache_key: Some(key), failure }, tables)
}
