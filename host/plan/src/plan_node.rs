//! Plans a node: every member of its family with parameters, inputs, settings and identities.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::expression::Scope;
use crate::family::{self, Members};
use crate::field::LookBack;
use crate::fields::Named;
use crate::file::NodeDecl;
use crate::identity::{Recipe, RecipeWork};
use crate::mirror;
use crate::nearest::did_you_mean;
use crate::plan_inputs::Binding;
use crate::planner::{Group, GroupState, KnownTask, Planner, Twins};
use crate::settings::Settings;
use crate::task_parameters::Others;
use crate::text::At;
use crate::{Code, Digest, FamilyKey, Input, PlanNode, PlanTable, Problem, TableName, TaskUse, Work};

impl<'p> Planner<'p, '_> {
    pub(crate) fn plan_node(&mut self, node: &'p Named<NodeDecl>) -> Group {
        let before = self.problems.len();
        let reference = &node.value.task;
        let task = match self.task(&reference.value) {
            Ok(it) => Some(it),
            Err(problem) => {
                self.problems.push(reference.at, problem);
                None
            }
        };
        let bindings = task.as_ref().and_then(|it| self.bindings(node, &it.entry.description));
        if let Some(task) = &task {
            self.check_parameter_names(node, task);
        }
        let keys = family::keys(node, &mut self.expressions, &self.scope).unwrap_or_else(|problem| {
            self.problems.push(problem.at, problem.value);
            Vec::new()
        });
        let mut members = Vec::with_capacity(keys.len());
        let ignored: Vec<String> = node.value.identity_ignore.iter().map(|it| it.value.clone()).collect();
        let member = MemberOf { node, task: task.as_ref(), bindings: bindings.as_deref(), ignored: &ignored };
        for key in &keys {
            let scope = if key.is_empty() { self.scope.clone() } else { self.scope.with(key) };
            // The other members are most likely wrong in the same way.
            let Some(planned) = self.plan_member(&member, key, &scope) else { break };
            members.push(planned);
        }
        let is_whole = self.problems.len() == before && members.len() == keys.len();
        let seen_as = self.seen_as(&node.name, keys.get(..members.len()).unwrap_or_default());
        Group {
            nodes: members,
            seen_as,
            state: if is_whole { GroupState::Planned } else { GroupState::Failed },
            members: Members::new(&node.value.for_each, keys.iter()),
            keys: node.value.for_each.names().map(str::to_owned).collect(),
            outputs: task.map(|it| it.outputs),
        }
    }

    fn check_parameter_names(&mut self, node: &Named<NodeDecl>, task: &KnownTask) {
        let name = &task.entry.description.name;
        let mut check = |kind: &str, parameter: &str, at| {
            if task.schema.others() == Others::Refused && !task.schema.names().any(|it| it == parameter) {
                let what =
                    format!("{kind} `{parameter}` of node `{}` is no parameter of task `{name}`", node.name);
                let mend = did_you_mean(parameter, "parameter", task.schema.names());
                self.problems.add(at, Code("unknown-task-parameter"), what, mend);
            }
        };
        for it in node.value.parameters.iter() {
            check("parameter", &it.name, it.at);
        }
        for it in &node.value.identity_ignore {
            check("`identity_ignore`", &it.value, it.at);
        }
    }

    /// Its position in the plan; `None` when something is wrong with it.
    fn plan_member(&mut self, member: &MemberOf<'p, '_>, key: &FamilyKey, scope: &Scope) -> Option<usize> {
        let node = member.node;
        let description = member.task.map(|it| &*it.entry.description);
        let parameters = self.render_parameters(node, member.task, scope);
        let settings = Settings::of(node, description, &self.machine, &mut self.expressions, scope)
            .map_err(|it| vec![it]);
        let inputs = member.bindings.map(|it| self.bind_inputs(node, it, scope));
        let mut failed = |problems: Vec<At<Problem>>| {
            for it in problems {
                self.problems.push(it.at, it.value);
            }
        };
        let (parameters, settings, mut inputs) = match (parameters, settings, inputs) {
            (Ok(parameters), Ok(settings), Some(Ok(inputs))) => (parameters, settings, inputs),
            (parameters, settings, inputs) => {
                parameters.err().into_iter().for_each(&mut failed);
                settings.err().into_iter().for_each(&mut failed);
                inputs.and_then(Result::err).into_iter().for_each(&mut failed);
                return None;
            }
        };
        let task = member.task?;
        for it in &mut inputs {
            it.look_back = match &settings.look_back {
                Some(LookBack::All(span)) => Some(*span),
                Some(LookBack::Ports(spans)) => spans.get(&it.port).copied(),
                None => None,
            };
        }
        let (mut outputs, update_id) = self.identify(task, &parameters, member.ignored, &inputs);
        if let Some(mirror) = &settings.mirror
            && let Err(problem) = mirror::assign(&node.name, mirror, &mut outputs)
        {
            self.problems.push(node.at, problem);
            return None;
        }
        let parameters = self.shared_parameters(&node.name, parameters);
        let planned = PlanNode {
            name: family::member_name(&node.name, key),
            family: node.name.clone(),
            key: key.clone(),
            work: Work::Task(TaskUse {
                reference: node.value.task.value.clone(),
                digest: task.entry.digest,
                description: task.entry.description.clone(),
                parameters,
                identity_ignore: member.ignored.to_vec(),
            }),
            inputs,
            outputs,
            update_id,
            resources: settings.resources,
            limits: settings.limits,
            timeout_ms: settings.timeout_ms,
            retry: settings.retry,
            write_mode: settings.write_mode,
            first_time: settings.first_time,
            corrections: settings.corrections,
            priority: settings.priority,
        };
        self.add(node, planned)
    }

    fn render_parameters(
        &mut self,
        node: &Named<NodeDecl>,
        task: Option<&KnownTask>,
        scope: &Scope,
    ) -> Result<Value, Vec<At<Problem>>> {
        let mut given = Map::new();
        for it in node.value.parameters.iter() {
            let value = self.expressions.render(&it.value.value, scope).map_err(|it| vec![it])?;
            given.insert(it.name.clone(), value);
        }
        let Some(task) = task else { return Ok(given.into()) };
        let mut fitted = task.schema.fit(given).map_err(|unfit| {
            let problem = |it: crate::task_parameters::Unfit| {
                let parameter = it.parameter.as_deref().and_then(|name| node.value.parameters.get(name));
                let name = it.parameter.as_ref().map(|name| format!(": parameter `{name}{}`", it.path));
                let what = format!(
                    "node `{}` does not suit task `{}`{}: {}",
                    node.name,
                    task.entry.description.name,
                    name.unwrap_or_default(),
                    it.what
                );
                let mend =
                    format!("`tidemill inspect` shows what task `{}` takes", task.entry.description.name);
                At::new(
                    Problem::new(Code("task-parameters"), what, mend),
                    parameter.map_or(node.at, |it| it.value.at),
                )
            };
            unfit.into_iter().map(problem).collect::<Vec<_>>()
        })?;
        fitted.sort_all_objects();
        Ok(fitted)
    }

    /// In a sweep most nodes have the parameters of the one before.
    fn shared_parameters(&mut self, node: &'p str, parameters: Value) -> Arc<Value> {
        let last = self.parameters.entry(node).or_default();
        if **last != parameters {
            *last = Arc::new(parameters);
        }
        Arc::clone(last)
    }

    fn identify(
        &self,
        task: &KnownTask,
        parameters: &Value,
        ignored: &[String],
        inputs: &[Input],
    ) -> (Vec<PlanTable>, Digest) {
        let description = &task.entry.description;
        let ids = |input: &Input| -> Vec<Digest> {
            input.members.iter().map(|it| self.nodes[it.node].outputs[it.output].id).collect()
        };
        let mut upstream: Vec<(&str, Vec<Digest>)> =
            inputs.iter().map(|it| (it.port.as_str(), ids(it))).collect();
        upstream.sort_by_key(|(port, _)| *port);
        let work = RecipeWork::Task { parameters, ignored, upstream: &upstream };
        let recipe = Recipe { task: &description.name, work };
        let several = description.outputs.len() > 1;
        let tables = description.outputs.iter().map(|port| {
            let id = recipe.table_id(&port.name);
            PlanTable {
                port: port.name.clone(),
                name: TableName::new(&description.name, several.then_some(&port.name), &id),
                id,
                columns: port.columns.clone(),
                time_index: port.time_index.clone(),
                identifiers: port.identifiers.clone(),
                mirror: None,
            }
        });
        (tables.collect(), recipe.update_id())
    }

    /// Adds a member unless its table already has a writer; its position in the plan.
    fn add(&mut self, decl: &Named<NodeDecl>, node: PlanNode) -> Option<usize> {
        let index = self.nodes.len();
        if self.twins == Twins::Shared
            && let Some(twin) = node.outputs.first().and_then(|it| self.writers.get(&it.id).copied())
            && self.nodes[twin].update_id == node.update_id
            && self.nodes[twin].inputs == node.inputs
        {
            return Some(twin);
        }
        for table in &node.outputs {
            let writer = self.writers.get(&table.id).filter(|_| self.twins != Twins::Kept);
            let Some(other) = writer.map(|it| &self.nodes[*it]) else {
                continue;
            };
            let what =
                format!("nodes `{}` and `{}` would write one table, `{}`", other.name, node.name, table.name);
            let mend = if other.update_id != node.update_id {
                "they differ only in `identity_ignore`: within one run a table has one writer, so run them one after the \
                 other, with a pipeline parameter"
                    .to_owned()
            } else if other.family == node.family {
                "use every `for_each` key in `parameters` or `inputs`: members that do the same are one"
                    .to_owned()
            } else {
                format!("they do the same: remove one, and read `{}` instead", other.name)
            };
            self.problems.add(decl.at, Code("duplicate-table"), what, mend);
            return None;
        }
        self.check_mirrors(decl.at, &node)?;
        self.writers.extend(node.outputs.iter().map(|it| (it.id, index)));
        self.nodes.push(node);
        Some(index)
    }
}

/// What the members of one node have in common.
struct MemberOf<'p, 'a> {
    node: &'p Named<NodeDecl>,
    task: Option<&'a KnownTask>,
    bindings: Option<&'a [Binding<'p>]>,
    ignored: &'a [String],
}
