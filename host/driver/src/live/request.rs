//! What a run of the service is asked to be, and the plan that follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidemill_plan::{Code, Digest, Machine, Plan, Problem, Request, Selection, TableName, Window, Work};
use tidemill_sandbox::Sandbox;

use crate::catalog::Components;
use crate::record::RunId;
use crate::replay::with_what_they_read;

/// A run as it is asked for; kept as JSON with the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunRequest {
    /// `path=value`, as typed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<String>,
    /// Typed values by parameter; `set` wins.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// Where `parameters` came from, by name: `run <id>`, `params <file>`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters_from: BTreeMap<String, String>,
    pub window: Window,
    /// This node and all that it depends on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// This node alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// What this node depends on, without itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deps_only: Option<String>,
    /// This node and what reads it is computed, valid or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_node: Option<String>,
    /// Everything is computed, valid or not.
    pub force: bool,
    /// A failed node stops only what needs it.
    pub keep_going: bool,
    /// One node at a time, in topological order.
    pub debug: bool,
    /// The run whose pipeline, parameters and code this one takes over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_run: Option<RunId>,
    /// The code that references stand for, where that is promised already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pins: Option<BTreeMap<String, Digest>>,
}

/// A version of a pipeline with everything that it needs in place.
#[derive(Clone, Debug)]
pub struct Deployed {
    pub text: Arc<str>,
    pub file_name: String,
    /// The folder that source paths are relative to.
    pub base: PathBuf,
    /// By reference: which code it stands for, and where that lies.
    pub components: BTreeMap<String, (Digest, PathBuf)>,
}

/// A run that could begin.
#[derive(Debug)]
pub struct LivePlan {
    pub plan: Plan,
    pub selected: Vec<bool>,
    /// Names of nodes that are computed even where a valid result is there.
    pub recompute: BTreeSet<String>,
    pub components: Components,
    pub base: PathBuf,
    pub file_name: String,
}

impl LivePlan {
    /// Checks all that `plan` checks, without running anything. May load components.
    ///
    /// # Errors
    /// Every problem that was found.
    pub fn new(
        deployed: &Deployed,
        request: &RunRequest,
        sandbox: &Arc<Sandbox>,
        machine: Machine,
    ) -> Result<Self, Vec<Problem>> {
        let pipeline = tidemill_plan::parse(&deployed.text, &deployed.file_name)?;
        let paths = deployed.components.iter().map(|(name, (_, path))| (name.clone(), path.clone()));
        let components = Components::at(Arc::clone(sandbox), deployed.base.clone(), paths.collect());
        let wanted = Request {
            sets: request.set.clone(),
            parameters: request.parameters.clone(),
            window: request.window,
            machine,
        };
        let plan = tidemill_plan::plan(&pipeline, &wanted, &components)?;
        let selected = plan.select(&request.selection()).map_err(|it| vec![it])?;
        let recompute = match &request.from_node {
            Some(it) => plan.downstream(it).map_err(|it| vec![it])?,
            None => BTreeSet::new(),
        };
        let (base, file_name) = (deployed.base.clone(), deployed.file_name.clone());
        Ok(Self { plan, selected, recompute, components, base, file_name })
    }
}

impl LivePlan {
    /// The tables of the service that sources read, with the names of the sources.
    pub fn source_tables(&self) -> impl Iterator<Item = (&str, &TableName)> {
        let wanted = with_what_they_read(&self.plan, self.selected.clone());
        let nodes = self.plan.nodes.iter().zip(wanted).filter(|(_, is_wanted)| *is_wanted);
        nodes.filter_map(|(node, _)| match &node.work {
            Work::Source(spec) => Some((node.name.as_str(), spec.table()?)),
            Work::Task(_) => None,
        })
    }
}

/// What is wrong where a source's table is not there.
#[must_use]
pub fn source_table_missing(source: &str, table: &TableName) -> Problem {
    let what = format!("source `{source}` reads table `{table}`, which the service does not have");
    let mend =
        "write it first, or correct `table`: it is a table's full name, as `tidemill tables` lists them";
    Problem::new(Code("source-table-missing"), what, mend)
}

impl RunRequest {
    fn selection(&self) -> Selection {
        match (&self.node, &self.only, &self.deps_only) {
            (Some(it), _, _) => Selection::Node(it.clone()),
            (_, Some(it), _) => Selection::Only(it.clone()),
            (_, _, Some(it)) => Selection::DepsOnly(it.clone()),
            (None, None, None) => Selection::All,
        }
    }
}
