//! One plan for all points: what several points share is planned, and later computed, once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use serde_json::{Map, Value};

use super::Space;
use crate::expression::{Scope, environment, names};
use crate::family::member_name;
use crate::graph::Decl;
use crate::planner::{Group, GroupState, Planner, Twins, plan_with};
use crate::{BoundParameter, Catalog, Code, Pipeline, Plan, Problem, Request, bind};

/// The points of a sweep as one plan.
#[derive(Clone, Debug)]
pub struct SweepPlan {
    /// Its nodes are those of all points, each distinct one once; its parameters are those that are not swept. A node that
    /// depends on axes carries their values in its name, as `lasso[in_window=60]`.
    pub plan: Plan,
    pub space: Space,
    /// Names of the sources and nodes of the file that are in the plan.
    pub families: Vec<String>,
    instances: Instances,
    /// Point after point, for each family its instance.
    of_points: Vec<u32>,
}

impl SweepPlan {
    /// The nodes of a point, by position in the plan.
    pub fn nodes_of(&self, point: usize) -> impl Iterator<Item = usize> {
        let width = self.families.len();
        let instances = &self.of_points[point * width..(point + 1) * width];
        instances.iter().flat_map(|it| self.instances.get(*it)).map(|it| *it as usize)
    }

    /// Members of a family at a point.
    pub(crate) fn instance(&self, point: usize, family: &str) -> Option<&[u32]> {
        let at = self.families.iter().position(|it| it == family)?;
        Some(self.instances.get(self.of_points[point * self.families.len() + at]))
    }

    /// For each of `families`, how many nodes the points have of it when each is counted by itself.
    #[must_use]
    pub fn uses(&self) -> Vec<u64> {
        let mut uses = vec![0; self.families.len()];
        for of_point in self.of_points.chunks_exact(self.families.len().max(1)) {
            for (uses, instance) in uses.iter_mut().zip(of_point) {
                *uses += self.instances.get(*instance).len() as u64;
            }
        }
        uses
    }

    /// How many nodes the points have when each is counted by itself.
    #[must_use]
    pub fn nodes_total(&self) -> u64 {
        self.of_points.iter().map(|it| self.instances.get(*it).len() as u64).sum()
    }
}

/// Members of each distinct use of a family: positions in the plan. In two vectors, because there may be millions.
#[derive(Clone, Debug, Default)]
struct Instances {
    members: Vec<u32>,
    /// By instance: where its members end.
    ends: Vec<usize>,
}

impl Instances {
    fn get(&self, instance: u32) -> &[u32] {
        let at = instance as usize;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.members[start..self.ends[at]]
    }

    fn add(&mut self, members: &[usize]) -> u32 {
        let number = |it: usize| u32::try_from(it).expect("fewer nodes and instances than u32 has numbers");
        self.members.extend(members.iter().map(|it| number(*it)));
        self.ends.push(self.members.len());
        number(self.ends.len() - 1)
    }
}

/// Plans every point. Only what `wanted` (names of nodes of the file, or of members) depends on is planned; nothing
/// wanted means everything. Errors: those of the plan of the first point; else those of the first point that has any.
pub fn plan_sweep(
    pipeline: &Pipeline,
    request: &Request,
    space: Space,
    wanted: &[&str],
    catalog: &dyn Catalog,
) -> Result<SweepPlan, Vec<Problem>> {
    let fixed = fixed(pipeline, request, &space)?;
    let decls = wanted_decls(pipeline, wanted);
    let uses = uses(pipeline, &space, &decls);
    if let Some(axis) = (0..space.axes.len()).find(|it| !uses.iter().any(|used| used.contains(it))) {
        let what = format!("axis `{}` changes nothing that is measured", space.axes[axis].name);
        let mend = "measure a node that depends on it, or leave the axis out";
        return Err(vec![Problem::new(Code("unused-axis"), what, mend)]);
    }
    let env = environment();
    let scope = Scope::new(std::iter::empty(), &request.window);
    let mut merge = Merge {
        pipeline,
        request,
        space: &space,
        fixed: &fixed,
        planner: Planner::new(pipeline, request, catalog, &env, scope, Twins::Shared),
        known: vec![HashMap::new(); decls.len()],
        groups: HashMap::new(),
        instances: Instances::default(),
    };
    let nodes = nodes_about(&space, &uses);
    // Where there is no room for as many, there may be for as many as there are.
    drop(merge.planner.nodes.try_reserve(nodes));
    drop(merge.planner.writers.try_reserve(nodes));
    let mut of_points = Vec::with_capacity(space.len() * decls.len());
    for point in 0..space.len() {
        merge.point(point, &decls, &uses, &mut of_points)?;
    }
    let nodes = merge.planner.nodes;
    let instances = merge.instances;
    let parameters = fixed.into_iter().filter(|(name, _)| !space.axes.iter().any(|it| it.name == *name));
    let parameters = parameters.collect();
    let plan = Plan {
        pipeline: pipeline.name().to_owned(),
        text: std::sync::Arc::clone(&pipeline.text.text),
        summary: pipeline.summary().to_owned(),
        parameters,
        window: request.window,
        nodes,
    };
    let families = decls.iter().map(|it| name_of(pipeline, *it).to_owned()).collect();
    Ok(SweepPlan { plan, space, families, instances, of_points })
}

/// The parameters of the first point, after a plan of it has shown that the pipeline is sound.
fn fixed(
    pipeline: &Pipeline,
    request: &Request,
    space: &Space,
) -> Result<BTreeMap<String, BoundParameter>, Vec<Problem>> {
    let names: Vec<&str> = space.axes.iter().map(|it| it.name.as_str()).collect();
    let is_axis = |it: &str| names.contains(&it);
    let mut problems: Vec<Problem> = Vec::new();
    let set = request.sets.iter().filter_map(|it| it.split(['=', '.', '[']).next()).map(str::trim);
    for name in set.chain(request.parameters.keys().map(String::as_str)).filter(|it| is_axis(it)) {
        let what = format!("parameter `{name}` is both set and swept");
        problems.push(Problem::new(Code("set-and-swept"), what, "do one of the two"));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let first = space.axes.iter().zip(space.values(0)).map(|(axis, it)| (axis.name.clone(), it.clone()));
    let mut parameters = request.parameters.clone();
    parameters.extend(first.collect::<Map<String, Value>>());
    bind::bound(pipeline, &request.sets, &parameters)
}

fn name_of(pipeline: &Pipeline, decl: Decl) -> &str {
    match decl {
        Decl::Source(index) => &pipeline.file.sources.list[index].name,
        Decl::Node(index) => &pipeline.file.nodes.list[index].name,
    }
}

/// Names of what a node of the file reads.
fn needs(pipeline: &Pipeline, decl: Decl) -> impl Iterator<Item = &str> {
    let inputs = match decl {
        Decl::Source(_) => None,
        Decl::Node(index) => Some(pipeline.file.nodes.list[index].value.inputs.iter()),
    };
    inputs.into_iter().flatten().flat_map(|it| &it.value.0).map(|it| it.node.as_str())
}

/// What is wanted and what that depends on, each after what it reads.
fn wanted_decls(pipeline: &Pipeline, wanted: &[&str]) -> Vec<Decl> {
    if wanted.is_empty() {
        return pipeline.order.clone();
    }
    let mut marked: BTreeSet<&str> = wanted.iter().map(|it| it.split('[').next().unwrap_or(it)).collect();
    for decl in pipeline.order.iter().rev() {
        if marked.contains(name_of(pipeline, *decl)) {
            marked.extend(needs(pipeline, *decl));
        }
    }
    pipeline.order.iter().copied().filter(|it| marked.contains(name_of(pipeline, *it))).collect()
}

/// For each declaration the axes that it depends on, itself or through what it reads.
fn uses(pipeline: &Pipeline, space: &Space, decls: &[Decl]) -> Vec<Vec<usize>> {
    let env = environment();
    let mut by_name: HashMap<&str, BTreeSet<usize>> = HashMap::new();
    let mut all = Vec::with_capacity(decls.len());
    for decl in decls {
        let mut used: BTreeSet<usize> = BTreeSet::new();
        let mut see = |expression: &crate::text::At<String>| {
            let read = names(&env, &expression.value).unwrap_or_default();
            let first = read.iter().map(|it| it.split('.').next().unwrap_or(it));
            used.extend(first.filter_map(|name| space.axes.iter().position(|axis| axis.name == name)));
        };
        match *decl {
            Decl::Source(index) => pipeline.file.sources.list[index].value.visit(&mut see),
            Decl::Node(index) => {
                let node = &pipeline.file.nodes.list[index].value;
                node.for_each.iter().for_each(|it| it.value.value.visit(&mut see));
                node.visit(&mut see);
            }
        }
        for name in needs(pipeline, *decl) {
            used.extend(by_name.get(name).into_iter().flatten());
        }
        by_name.insert(name_of(pipeline, *decl), used.clone());
        all.push(used.into_iter().collect());
    }
    all
}

/// How many nodes there will be, if no declaration is a family and no two do the same: growing would need room for the
/// nodes twice.
fn nodes_about(space: &Space, uses: &[Vec<usize>]) -> usize {
    let instances = |used: &Vec<usize>| {
        let counts = used.iter().map(|axis| space.axes[*axis].values.len());
        counts.fold(1, usize::saturating_mul).min(space.len())
    };
    uses.iter().map(instances).sum()
}

struct Merge<'p, 'env> {
    pipeline: &'p Pipeline,
    request: &'p Request,
    space: &'p Space,
    fixed: &'p BTreeMap<String, BoundParameter>,
    planner: Planner<'p, 'env>,
    /// By declaration: the instance for the numbers of the values of the axes that it depends on. What depends on all
    /// axes belongs to one point alone, and neither it nor its group is remembered.
    known: Vec<HashMap<Vec<u32>, u32>>,
    /// By instance.
    groups: HashMap<u32, Rc<Group>>,
    instances: Instances,
}

impl<'p> Merge<'p, '_> {
    fn point(
        &mut self,
        point: usize,
        decls: &[Decl],
        uses: &[Vec<usize>],
        of_points: &mut Vec<u32>,
    ) -> Result<(), Vec<Problem>> {
        let mut numbers = Vec::new();
        self.space.numbers(point, &mut numbers);
        let start = of_points.len();
        let mut is_scope_set = false;
        for (at, decl) in decls.iter().enumerate() {
            let is_shared = uses[at].len() < self.space.axes.len();
            let key: Vec<u32> = uses[at].iter().map(|axis| numbers[*axis]).collect();
            if is_shared && let Some(instance) = self.known[at].get(&key) {
                of_points.push(*instance);
                continue;
            }
            if !is_scope_set {
                self.set_scope(&numbers);
                is_scope_set = true;
            }
            let pipeline = self.pipeline;
            for (before, instance) in decls.iter().zip(&of_points[start..]) {
                // What is not remembered is of this point, and there since it was planned.
                if let Some(group) = self.groups.get(instance) {
                    self.planner.groups.insert(name_of(pipeline, *before), Rc::clone(group));
                }
            }
            let planned = self.planner.nodes.len();
            let (name, group) = self.planner.plan_decl(pipeline, *decl);
            if group.state == GroupState::Failed {
                return Err(self.wrong(&numbers));
            }
            self.name(planned, &uses[at], &numbers);
            let instance = self.instances.add(&group.nodes);
            let group = Rc::new(group);
            if is_shared {
                self.groups.insert(instance, Rc::clone(&group));
                self.known[at].insert(key, instance);
            }
            self.planner.groups.insert(name, group);
            of_points.push(instance);
        }
        Ok(())
    }

    fn set_scope(&mut self, numbers: &[u32]) {
        let axes = self.space.axes.iter().zip(numbers);
        let swept = axes.map(|(axis, it)| (axis.name.as_str(), &axis.values[*it as usize]));
        let fixed = self.fixed.iter().map(|(name, it)| (name.as_str(), &it.value));
        // A later name wins.
        self.planner.scope = Scope::new(fixed.chain(swept), &self.request.window);
    }

    /// Gives new nodes the values of their axes into their names.
    fn name(&mut self, planned: usize, used: &[usize], numbers: &[u32]) {
        let swept: Vec<(String, Value)> = used
            .iter()
            .map(|axis| (&self.space.axes[*axis], numbers[*axis]))
            .filter(|(axis, _)| 1 < axis.values.len())
            .map(|(axis, it)| (axis.name.clone(), axis.values[it as usize].clone()))
            .collect();
        if swept.is_empty() {
            return;
        }
        for node in &mut self.planner.nodes[planned..] {
            let key = [node.key.clone(), swept.clone()].concat();
            node.name = member_name(&node.family, &key);
        }
    }

    /// The problems of a point, which they name.
    fn wrong(&mut self, numbers: &[u32]) -> Vec<Problem> {
        let axes = self.space.axes.iter().zip(numbers);
        let pairs: Vec<String> =
            axes.map(|(axis, it)| format!("{}={}", axis.name, axis.values[*it as usize])).collect();
        let problems =
            std::mem::replace(&mut self.planner.problems, crate::text::Problems::new(&self.pipeline.text));
        let mut problems = problems.into_result(()).err().unwrap_or_default();
        for it in &mut problems {
            it.what = format!("at the point {}: {}", pairs.join(", "), it.what);
        }
        problems
    }
}

/// Checks a pipeline at the first point of a sweep; what `Measure::check` looks at.
pub fn plan_first(
    pipeline: &Pipeline,
    request: &Request,
    space: &Space,
    catalog: &dyn Catalog,
) -> Result<Plan, Vec<Problem>> {
    fixed(pipeline, request, space)?;
    let first = space.axes.iter().zip(space.values(0)).map(|(axis, it)| (axis.name.clone(), it.clone()));
    let mut request = request.clone();
    request.parameters.extend(first);
    plan_with(pipeline, &request, catalog, Twins::Kept)
}
