//! From a checked pipeline file to a plan: parameters bound, families expanded, inputs bound, identities computed.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use minijinja::Environment;
use serde_json::{Map, Value};

use crate::columns::KnownColumns;
use crate::expression::{Expressions, Scope, environment};
use crate::family::Members;
use crate::fields::Entries;
use crate::file_names::is_name;
use crate::graph::Decl;
use crate::task_parameters::TaskSchema;
use crate::text::Problems;
use crate::{
    Code, Digest, FamilyKey, MirrorTarget, Pipeline, Plan, PlanNode, Problem, SeenAs, TaskDescription,
    Window, bind,
};

/// A task as the catalog knows it.
#[derive(Clone, Debug)]
pub struct CatalogEntry {
    /// Of the component.
    pub digest: Digest,
    pub description: Arc<TaskDescription>,
}

/// Knows tasks.
pub trait Catalog {
    /// The task that a node names: see `Pipeline::component_path`. Called once for each reference. Errors: any
    /// problem, without a place; the planner adds it.
    fn find(&self, reference: &str) -> Result<CatalogEntry, Problem>;
}

/// What a node may have at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Thousandths of a core.
    pub cpus_milli: u32,
    pub memory_bytes: u64,
}

/// What a plan is made for.
#[derive(Clone, Debug)]
pub struct Request {
    /// `path=value`, as typed.
    pub sets: Vec<String>,
    /// Typed values by parameter; `sets` win.
    pub parameters: Map<String, Value>,
    pub window: Window,
    pub machine: Machine,
}

/// What is known of a source or node once it has been planned.
#[derive(Debug)]
pub(crate) struct Group {
    /// Positions in the plan of its members, in their order.
    pub(crate) nodes: Vec<usize>,
    pub(crate) state: GroupState,
    pub(crate) members: Members,
    /// What consumers see of `nodes`, one by one.
    pub(crate) seen_as: Vec<Arc<SeenAs>>,
    /// `for_each` keys.
    pub(crate) keys: Vec<String>,
    /// Output ports; `None` when the task is unknown.
    pub(crate) outputs: Option<Rc<[GroupOutput]>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupState {
    Planned,
    /// Something is wrong with it or before it: its members are not all in the plan.
    Failed,
}

#[derive(Debug)]
pub(crate) struct GroupOutput {
    pub(crate) port: String,
    pub(crate) columns: Option<KnownColumns>,
}

impl Group {
    pub(crate) fn failed() -> Self {
        Self {
            nodes: Vec::new(),
            state: GroupState::Failed,
            members: Members::new(&Entries::new(), std::iter::empty()),
            seen_as: Vec::new(),
            keys: Vec::new(),
            outputs: None,
        }
    }
}

/// A task with its schema compiled.
#[derive(Clone, Debug)]
pub(crate) struct KnownTask {
    pub(crate) entry: CatalogEntry,
    pub(crate) schema: Rc<TaskSchema>,
    pub(crate) outputs: Rc<[GroupOutput]>,
}

/// What becomes of a node that does what another does already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twins {
    /// Within one pipeline that is a mistake.
    Refused,
    /// Points of a sweep share it: what is a twin at one point may be the other's neighbour at the next.
    Shared,
    /// Each stays a node of its own: the plan is looked at, not run.
    Kept,
}

/// The plan so far.
pub(crate) struct Planner<'p, 'env> {
    pub(crate) machine: Machine,
    pub(crate) scope: Scope,
    pub(crate) expressions: Expressions<'env>,
    pub(crate) problems: Problems<'p>,
    pub(crate) nodes: Vec<PlanNode>,
    pub(crate) groups: HashMap<&'p str, Rc<Group>>,
    /// Who writes each table.
    pub(crate) writers: HashMap<Digest, usize>,
    pub(crate) twins: Twins,
    /// Who is mirrored into each table of PostgreSQL.
    pub(crate) mirrored: BTreeMap<MirrorTarget, String>,
    /// By declaration that is no family: a sweep may plan it a million times.
    seen_as: HashMap<&'p str, Arc<SeenAs>>,
    /// By declaration: those of its last node.
    pub(crate) parameters: HashMap<&'p str, Arc<Value>>,
    catalog: &'p dyn Catalog,
    tasks: HashMap<&'p str, Result<KnownTask, Problem>>,
}

/// Makes the plan. Errors: every problem found, those of the request first, then in the order of the file.
pub fn plan(pipeline: &Pipeline, request: &Request, catalog: &dyn Catalog) -> Result<Plan, Vec<Problem>> {
    plan_with(pipeline, request, catalog, Twins::Refused)
}

pub(crate) fn plan_with(
    pipeline: &Pipeline,
    request: &Request,
    catalog: &dyn Catalog,
    twins: Twins,
) -> Result<Plan, Vec<Problem>> {
    // Without its values most of the rest would be wrong by consequence.
    let parameters = bind::bound(pipeline, &request.sets, &request.parameters)?;
    let env = environment();
    let values = parameters.iter().map(|(name, it)| (name.as_str(), &it.value));
    let scope = Scope::new(values, &request.window);
    let mut planner = Planner::new(pipeline, request, catalog, &env, scope, twins);
    for decl in &pipeline.order {
        let (name, group) = planner.plan_decl(pipeline, *decl);
        planner.groups.insert(name, Rc::new(group));
    }
    let Planner { nodes, problems, .. } = planner;
    problems.into_result(Plan {
        pipeline: pipeline.name().to_owned(),
        summary: pipeline.summary().to_owned(),
        text: Arc::clone(&pipeline.text.text),
        parameters: parameters.into_iter().collect::<BTreeMap<_, _>>(),
        window: request.window,
        nodes,
    })
}

impl<'p, 'env> Planner<'p, 'env> {
    /// What consumers see of the members of a declaration.
    pub(crate) fn seen_as(&mut self, node: &'p str, keys: &[FamilyKey]) -> Vec<Arc<SeenAs>> {
        let seen = |key: &FamilyKey| Arc::new(SeenAs::new(node, key));
        if keys.iter().all(Vec::is_empty) {
            let only = self.seen_as.entry(node).or_insert_with(|| seen(&FamilyKey::new()));
            return keys.iter().map(|_| Arc::clone(only)).collect();
        }
        keys.iter().map(seen).collect()
    }

    pub(crate) fn new(
        pipeline: &'p Pipeline,
        request: &Request,
        catalog: &'p dyn Catalog,
        env: &'env Environment<'static>,
        scope: Scope,
        twins: Twins,
    ) -> Self {
        Self {
            machine: request.machine,
            scope,
            expressions: Expressions::new(env),
            problems: Problems::new(&pipeline.text),
            nodes: Vec::new(),
            groups: HashMap::new(),
            writers: HashMap::new(),
            twins,
            mirrored: BTreeMap::new(),
            seen_as: HashMap::new(),
            parameters: HashMap::new(),
            catalog,
            tasks: HashMap::new(),
        }
    }

    /// Plans a source or a node after what it reads; its name and its members.
    pub(crate) fn plan_decl(&mut self, pipeline: &'p Pipeline, decl: Decl) -> (&'p str, Group) {
        match decl {
            Decl::Source(index) => {
                let source = &pipeline.file.sources.list[index];
                (source.name.as_str(), self.plan_source(source))
            }
            Decl::Node(index) => {
                let node = &pipeline.file.nodes.list[index];
                (node.name.as_str(), self.plan_node(node))
            }
        }
    }

    /// The task of a reference; asks the catalog and compiles the schema once.
    pub(crate) fn task(&mut self, reference: &'p str) -> Result<KnownTask, Problem> {
        let catalog = self.catalog;
        self.tasks.entry(reference).or_insert_with(|| known_task(catalog, reference)).clone()
    }
}

fn known_task(catalog: &dyn Catalog, reference: &str) -> Result<KnownTask, Problem> {
    let entry = catalog.find(reference)?;
    let name = &entry.description.name;
    // These come from a guest and become file names.
    let names = std::iter::once(name).chain(entry.description.outputs.iter().map(|it| &it.name));
    if let Some(wrong) = names.into_iter().find(|it| !is_name(it)) {
        let what = format!(
            "task `{reference}` calls itself or an output `{}`, which is not allowed",
            wrong.escape_debug()
        );
        let mend = "rename it in the task: lower-case letters, digits, `_` and `-`";
        return Err(Problem::new(Code("bad-task-name"), what, mend));
    }
    let schema = TaskSchema::new(&entry.description.parameters).map_err(|why| {
        let what = format!(
            "task `{}` declares parameters by a JSON Schema that is none: {why}",
            entry.description.name
        );
        Problem::new(Code("bad-task-schema"), what, "build the task with a current SDK")
    })?;
    let output = |it: &crate::OutputPort| GroupOutput {
        port: it.name.clone(),
        columns: it.columns.as_deref().map(KnownColumns::of_schema),
    };
    let outputs = entry.description.outputs.iter().map(output).collect();
    Ok(KnownTask { entry, schema: Rc::new(schema), outputs })
}
