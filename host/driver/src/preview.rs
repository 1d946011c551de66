//! What a run would do: which results are there already. Reads the lake, runs nothing.

use std::path::Path;

use arrow::datatypes::SchemaRef;
use tidemill_lake::{Lake, SourceFile, WindowFolder};
use tidemill_plan::{Code, Digest, Plan, PlanNode, Work};

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
    let mut schemas: Vec<Option<SchemaRef>> = vec![None; plan.nodes.len()];
    let mut previews: Vec<Preview> = Vec::with_capacity(plan.nodes.len());
    for (position, node) in plan.nodes.iter().enumerate() {
        let files = match &node.work {
            Work::Source(spec) => Some(tidemill_lake::source_files(spec, base).map_err(NodeFailure::from)),
            Work::Task(_) => None,
        };
        let (mut preview, tables) = match key_of(plan, node, files.as_ref(), &known) {
            Ok(key) => look_up(lake, &folder, node, key),
            Err(failure) => {
                (Preview { prospect: Prospect::Compute, cache_key: None, failure: Some(failure) }, None)
            }
        };
        if let (Work::Source(spec), Some(Ok(files)), Prospect::Compute) =
            (&node.work, files, preview.prospect)
        {
            match tidemill_lake::open_source(spec, base, &files, &plan.window) {
                Ok(it) => schemas[position] = Some(it.schema()),
                Err(e) => preview.failure = Some(e.into()),
            }
        }
        if preview.failure.is_none() && preview.prospect != Prospect::Reuse {
            preview.failure = misfit(plan, node, &schemas);
        }
        known.push(tables);
        previews.push(preview);
    }
    previews
}

/// What a task would refuse of the files that it reads: their columns are known only now, where none are declared.
fn misfit(plan: &Plan, node: &PlanNode, schemas: &[Option<SchemaRef>]) -> Option<NodeFailure> {
    let Work::Task(task) = &node.work else { return None };
    let problem = node.inputs.iter().find_map(|input| {
        let wanted = &task.description.inputs.iter().find(|it| it.name == input.port)?.columns;
        let port = format!("input `{}` of node `{}`", input.port, node.name);
        input.members.iter().find_map(|it| {
            let source = &plan.nodes[it.node].name;
            let problem = tidemill_plan::misfits(schemas[it.node].as_ref()?, wanted, source, &port);
            problem.into_iter().next().map(|it| (source, it))
        })
    });
    let (source, problem) = problem?;
    let mend = if problem.code == Code("column-type") {
        format!("declare it under `[sources.{source}.columns]` as the type that the task takes")
    } else {
        problem.mend
    };
    Some(NodeFailure::permanent(problem.code, problem.what, mend))
}

fn key_of(
    plan: &Plan,
    node: &PlanNode,
    files: Option<&Result<Vec<SourceFile>, NodeFailure>>,
    known: &[Option<Tables>],
) -> Result<Option<Digest>, NodeFailure> {
    match &node.work {
        Work::Source(_) => {
            let files = files.expect("a source has files").as_ref().map_err(NodeFailure::clone)?;
            let code = source_digest(files);
            Ok(Some(node_key(node, plan, &code, &[], SOURCE_CONTRACT)))
        }
        Work::Task(task) => {
            let read = snapshots(node, |node, output| Some(&*known[node].as_ref()?[output]));
            Ok(read.map(|it| node_key(node, plan, &task.digest, &it, tidemill_sandbox::CONTRACT_IDENTITY)))
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
